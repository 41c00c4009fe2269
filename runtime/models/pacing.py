"""How many requests a provider is sent at a time and in a minute (pure): who is beyond either waits its turn.

The rate is even: a minute's requests may be made at once, and from then on one for each part of a minute that has passed
(a token bucket). The clock is passed in, in seconds that never go back.
"""

from msgspec import Struct


class Pace(Struct, frozen=True, kw_only=True):
    """per_minute: 0 for no bound. taken: of the bucket at the time `at`."""

    per_minute: int
    taken: float = 0.0
    at: float = 0.0


def taken(pace: Pace, now: float) -> tuple[Pace, float]:
    """A request's place in the line: the pace after it, and the seconds that it has to wait."""
    if not pace.per_minute:
        return pace, 0.0
    each = 60.0 / pace.per_minute
    left = max(0.0, pace.taken - max(0.0, now - pace.at) / each)
    after = Pace(per_minute=pace.per_minute, taken=left + 1, at=max(now, pace.at))
    return after, max(0.0, (left + 1 - pace.per_minute) * each)


def given_back(pace: Pace) -> Pace:
    """The pace after a request that waited and was not made: its place is for the next that asks."""
    return Pace(per_minute=pace.per_minute, taken=max(0.0, pace.taken - 1), at=pace.at)
