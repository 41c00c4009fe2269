"""Limits the requests per minute that a provider is sent (pure): a token bucket.

A minute's requests may be made at once; after that, each waits for its share of a minute to pass. The clock is passed in, in
seconds that never go back.
"""

from msgspec import Struct


class Pace(Struct, frozen=True, kw_only=True):
    """per_minute: 0 for no bound. taken: places in use at the time `at`, in seconds."""

    per_minute: int
    taken: float = 0.0
    at: float = 0.0


def take_place(pace: Pace, now: float) -> tuple[Pace, float]:
    """Take a place for a request; return the pace after it, and the seconds that the request must wait."""
    if not pace.per_minute:
        return pace, 0.0
    each = 60.0 / pace.per_minute
    left = max(0.0, pace.taken - max(0.0, now - pace.at) / each)
    after = Pace(per_minute=pace.per_minute, taken=left + 1, at=max(now, pace.at))
    return after, max(0.0, (left + 1 - pace.per_minute) * each)


def give_back(pace: Pace) -> Pace:
    """Return the pace after a request that waited was not made: the next one gets its place."""
    return Pace(per_minute=pace.per_minute, taken=max(0.0, pace.taken - 1), at=pace.at)
