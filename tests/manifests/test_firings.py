"""Schedules fire when docs/schedules.md says: nothing twice, nothing lost, whatever the clocks of a zone do."""

import time
from bisect import bisect_left
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.firings import Plan
from manifests.schema import Schedule
from manifests.wall_clock import instant, wall_of
from manifests.zones import names, zone
from tests.manifests import wall
from tests.spread import spread

FIRST: Final = {
    "Australia/Lord_Howe": 2023,  # half an hour
    "Pacific/Chatham": 2023,  # 12:45 from UTC, changes at 2:45
    "Africa/Casablanca": 2023,  # twice a year more, around Ramadan
    "Pacific/Apia": 2011,  # a day that never was, and the summer time that came before it
    "Antarctica/Troll": 2023,  # two hours
    "America/St_Johns": 2004,  # at one minute past midnight
    "Europe/Dublin": 2023,  # whose winter time is the exception
}
EXPRESSIONS: Final = (
    "30 2 * * *", "15,45 1-3 * * *", "0 0 * * *", "*/20 0-3 * * 0,5,6", "7 * * * 0,5", "*/15 * * * 0", "30 */2 * * 1-5",
    "0 9 1,15 * 1", "59 23 28-31 * *", "0 12 29 2 *",
)  # fmt: skip
FEW: Final = EXPRESSIONS[1:8:2]


def ms(text: str) -> int:
    return wall.milliseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


def plan(schedule: Schedule, since: int = 0, seed: str = "h-seed") -> Plan:
    return Plan(schedule, since=since, seed=seed)


def minutes_of(name: str, years: int) -> tuple[datetime, datetime]:
    first = FIRST[name]
    return datetime(first, 1, 10, 12, tzinfo=UTC), datetime(first + years, 1, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "years"),
    [*spread([(one, 1) for one in FEW], 1), *(pytest.param(one, 4, marks=pytest.mark.soak) for one in EXPRESSIONS)],
)
@pytest.mark.parametrize("name", spread(FIRST, 4))
def test_years_of_a_zone_are_those_of_the_minute_walk(name: str, expression: str, years: int) -> None:
    start, end = minutes_of(name, years)
    expected = [wall.milliseconds(one) for one in wall.firings(expression, name, start, end)]
    one = plan(Schedule(cron=expression, timezone=name))
    assert list(one.all(wall.milliseconds(start) - 1, wall.milliseconds(end) - 1)) == expected
    assert len(expected) >= 1


@pytest.mark.wide
@pytest.mark.parametrize(
    ("name", "year"),
    spread(
        [
            ("Australia/Lord_Howe", 2024),
            ("Africa/Casablanca", 2024),
            ("Antarctica/Troll", 2024),
            ("Pacific/Apia", 2011),
        ],
        1,
    ),
)
def test_quiet_hours_end_at_the_first_minute_that_is_not_quiet(name: str, year: int) -> None:
    spans = ("22:30-02:30", "02:30-03:10", "12:00-12:01")
    start, end = datetime(year, 1, 10, 12, tzinfo=UTC), datetime(year + 1, 1, 10, 12, tzinfo=UTC)
    loud: list[int] = []
    for moment, shown, count in wall.walked(name, start, end):
        first = shown.hour * 60 + shown.minute
        for minute in range(count):
            clock = (first + minute) % 1440
            if 190 <= clock < 1350 and clock != 720:
                loud.append(wall.milliseconds(moment) + minute * 60_000)
    asked = (wall.milliseconds(one) for one in wall.firings("20 */3 * * *", name, start, end))
    expected: list[int] = []
    for one in asked:
        at = bisect_left(loud, one)
        if at < len(loud) and (not expected or expected[-1] < loud[at]):
            expected.append(loud[at])
    with_quiet = plan(Schedule(cron="20 */3 * * *", timezone=name, quiet=spans))
    begin = wall.milliseconds(start) + 86_400_000  # what was put off before the walk began is not in it
    found = list(with_quiet.all(begin, wall.milliseconds(end) - 1))
    assert found == [one for one in expected if one > begin]


@pytest.mark.parametrize(
    ("rule", "expression"),
    [
        ({"freq": rrule.DAILY, "byhour": 9, "byminute": 30}, "30 9 * * *"),
        ({"freq": rrule.WEEKLY, "byweekday": (rrule.MO, rrule.FR), "byhour": 7, "byminute": 0}, "0 7 * * mon,fri"),
        ({"freq": rrule.MONTHLY, "bymonthday": -1, "byhour": 23, "byminute": 59}, "59 23 L * *"),
        ({"freq": rrule.MONTHLY, "byweekday": rrule.FR(2), "byhour": 12, "byminute": 0}, "0 12 * * fri#2"),
        ({"freq": rrule.YEARLY, "bymonth": 2, "bymonthday": 29, "byhour": 0, "byminute": 0}, "0 0 29 2 *"),
        ({"freq": rrule.MONTHLY, "byweekday": rrule.SU(-1), "byhour": 4, "byminute": 5}, "5 4 * * 0L"),
    ],
)
def test_names_lists_and_last_days_are_those_of_the_calendar(rule: dict[str, Any], expression: str) -> None:
    start, end = datetime(2022, 1, 1), datetime(2034, 1, 1)  # noqa: DTZ001 - the wall clock of UTC
    expected = [
        wall.milliseconds(at.replace(tzinfo=UTC)) for at in rrule.rrule(dtstart=start, until=end, bysecond=0, **rule)
    ]
    found = plan(Schedule(cron=expression)).all(ms("2021-12-31T23:59:59"), ms("2034-01-01T00:00"))
    assert list(found) == expected


def test_a_skipped_time_fires_when_the_clocks_jump_and_a_repeated_one_once() -> None:
    berlin = plan(Schedule(cron="30 2 * * *", timezone="Europe/Berlin"))
    spring = list(berlin.all(ms("2026-03-28T12:00"), ms("2026-03-30T12:00")))
    assert spring == [ms("2026-03-29T01:00"), ms("2026-03-30T00:30")]  # 02:30 is skipped: 03:00, when they jump
    autumn = list(berlin.all(ms("2026-10-24T12:00"), ms("2026-10-26T12:00")))
    assert autumn == [ms("2026-10-25T00:30"), ms("2026-10-26T01:30")]  # 02:30 comes twice: the first


def test_a_day_that_never_was_is_made_up_when_it_is_over() -> None:
    apia = plan(Schedule(cron="0 9,17 * * *", timezone="Pacific/Apia"))
    found = list(apia.all(ms("2011-12-29T20:00"), ms("2011-12-31T12:00")))
    # 29 December 17:00; the whole 30th at once, at midnight; then the 31st
    assert found == [ms("2011-12-30T03:00"), ms("2011-12-30T10:00"), ms("2011-12-30T19:00"), ms("2011-12-31T03:00")]


def test_a_rhythm_follows_real_time_through_an_hour_that_comes_twice() -> None:
    berlin = plan(Schedule(cron="*/30 * * * *", timezone="Europe/Berlin"))
    found = list(berlin.all(ms("2026-10-25T00:00") - 1, ms("2026-10-25T02:00")))
    assert found == [ms("2026-10-25T00:00") + half * 1_800_000 for half in range(5)]


@pytest.mark.parametrize(
    ("at", "moment"),
    [
        ("2026-12-01T09:00", "2026-12-01T08:00"),
        ("2026-03-29T02:30", "2026-03-29T01:00"),
        ("2026-10-25T02:30:15", "2026-10-25T00:30:15"),
    ],
)
def test_a_moment_fires_once(at: str, moment: str) -> None:
    once = plan(Schedule(at=at, timezone="Europe/Berlin"))
    assert once.next(ms("2026-01-01T00:00")) == ms(moment)
    assert once.next(ms(moment) - 1) == ms(moment)
    assert once.next(ms(moment)) is None


def test_every_counts_real_time_from_the_install() -> None:
    since = ms("2026-03-29T00:50:07")
    found = list(plan(Schedule(every_ms=900_000, timezone="Europe/Berlin"), since).all(since, since + 2_700_000))
    assert found == [since + 900_000, since + 1_800_000, since + 2_700_000]
    assert plan(Schedule(every_ms=1_000), since).next(0) == since + 1_000


def test_events_have_no_time() -> None:
    assert plan(Schedule(on="a.b")).next(0) is None


@given(st.text(max_size=20), st.integers(0, 4_000_000_000_000))
def test_jitter_is_the_same_each_time_and_below_its_most(seed: str, planned: int) -> None:
    one = plan(Schedule(every_ms=600_000, jitter_ms=300_000), seed=seed)
    assert planned <= one.due(planned) < planned + 300_000
    assert one.due(planned) == plan(Schedule(every_ms=600_000, jitter_ms=300_000), seed=seed).due(planned)


def test_jitter_spreads_the_hands_of_a_home() -> None:
    asked = Schedule(cron="0 9 * * *", jitter_ms=600_000)
    dues = {plan(asked, seed=f"h-{one}").due(0) // 60_000 for one in range(100)}
    assert len(dues) == 10


SCHEDULES: Final = st.builds(
    Schedule,
    cron=st.sampled_from(EXPRESSIONS),
    timezone=st.sampled_from(sorted(FIRST)),
    quiet=st.sampled_from([(), ("22:00-07:00",), ("00:00-02:15", "02:15-04:00"), ("01:30-02:30",)]),
)
MOMENTS: Final = st.integers(ms("2005-01-01T00:00"), ms("2026-01-01T00:00"))


@given(SCHEDULES, MOMENTS)
@settings(max_examples=100)
def test_from_any_moment_the_next_firing_is_the_same(schedule: Schedule, moment: int) -> None:
    one = plan(schedule)
    found = one.next(moment)
    assert found is not None
    assert found > moment
    for between in (moment + 1, (moment + found) // 2, found - 1):
        assert one.next(between) == found
    assert one.quiet_until(found) == found


@pytest.mark.wide
@given(SCHEDULES, MOMENTS, st.integers(1, 5))
@settings(max_examples=40)
def test_the_last_firings_are_the_end_of_all_of_them(schedule: Schedule, moment: int, most: int) -> None:
    one, until = plan(schedule), moment + 40 * 86_400_000
    found = list(one.all(moment, until))
    assert list(one.last(moment, until, most)) == found[-most:]
    assert one.count(moment, until, 10_000) == len(found)
    assert one.count(moment, until, 1) == min(1, len(found))


def test_the_last_of_a_long_time_is_found_at_once() -> None:
    now = ms("2026-01-01T00:00")
    begin = time.process_time()
    assert plan(Schedule(every_ms=1_000)).last(0, now) == (now,)
    assert plan(Schedule(cron="0 0 29 2 *")).last(0, now) == (ms("2024-02-29T00:00"),)
    assert plan(Schedule(every_ms=1_000)).count(0, now, 1_000) == 1_000
    assert time.process_time() - begin < 5


@given(st.sampled_from(sorted(names())), MOMENTS)
def test_a_wall_time_is_found_again_at_its_first_moment(name: str, moment: int) -> None:
    moment -= moment % 1000
    of = zone(name)
    again = instant(wall_of(moment, of), of)
    assert again <= moment
    assert wall_of(again, of) == wall_of(moment, of)
