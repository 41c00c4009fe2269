"""A schedule as it is told to whoever decides about it: all that makes it fire, and all that keeps it from it."""

import pytest

from manifests.schedule_words import describe
from manifests.schema import Schedule


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Schedule(cron="0 9 * * mon-fri", timezone="Europe/Berlin"), "cron 0 9 * * mon-fri in Europe/Berlin"),
        (Schedule(every_ms=90_000), "every 90s"),
        (
            Schedule(every_ms=90_000, quiet=("22:00-07:00", "12:00-13:00")),
            "every 90s in UTC, not in 22:00-07:00, 12:00-13:00",
        ),
        (Schedule(at="2027-01-01T09:00", jitter_ms=60_000), "once at 2027-01-01T09:00 in UTC, up to 1m later"),
        (
            Schedule(on="web.seen", where={"rows": {"above": 5, "at_most": 9}, "kind": ["a", "b"], "day": "mon"}),
            "on web.seen where rows above 5 and at most 9, kind is one of a, b, day is mon",
        ),
    ],
)
def test_a_schedule_in_words(schedule: Schedule, words: str) -> None:
    assert describe(schedule) == words
