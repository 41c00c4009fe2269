"""How long tapes are kept: by age, by outcome, by the room of all."""

from hypothesis import given
from hypothesis import strategies as st

from manifests.keeping import DAY, STANDS, Keep, Kept, SafeClock, expired_tapes, last_seen, seconds_until

TAPES = st.lists(
    st.builds(
        Kept, run=st.uuids().map(str), age=st.floats(0, 200 * DAY), size=st.integers(0, 2**30), is_done=st.booleans()
    ),
    max_size=12,
    unique_by=lambda tape: tape.run,
)


def tape(run: str, days: float, *, mib: int = 1, done: bool = True) -> Kept:
    return Kept(run=run, age=days * DAY, size=mib * 1024 * 1024, is_done=done)


def test_what_is_old_goes_and_what_failed_is_kept_longer() -> None:
    tapes = [
        tape("old", 31),
        tape("young", 29),
        tape("failed", 31, done=False),
        tape("failed long ago", 91, done=False),
    ]
    assert expired_tapes(tapes, Keep()) == [("failed long ago", "older than 90 days"), ("old", "older than 30 days")]


def test_beyond_the_room_for_all_the_oldest_go() -> None:
    tapes = [tape("a", 3, mib=400), tape("b", 2, mib=400), tape("c", 1, mib=400)]
    assert expired_tapes(tapes, Keep()) == [("a", "the oldest of more than 1024 MiB")]
    assert expired_tapes(tapes, Keep(mib=400)) == [(run, "the oldest of more than 400 MiB") for run in "ab"]
    assert expired_tapes(tapes, Keep(days=0)) == [(run, "older than 0 days") for run in "abc"]


@given(TAPES, st.builds(Keep, days=st.integers(0, 100), failed_days=st.integers(0, 100), mib=st.integers(1, 4096)))
def test_what_is_left_is_young_and_has_room(tapes: list[Kept], keep: Keep) -> None:
    gone = [run for run, _ in expired_tapes(tapes, keep)]
    left = [tape for tape in tapes if tape.run not in gone]
    assert len(gone) == len(set(gone)) == len(tapes) - len(left)
    assert all(one.age <= (keep.days if one.is_done else keep.failed_days) * DAY for one in left)
    assert sum(one.size for one in left) <= keep.mib * 1024 * 1024


def test_a_clock_that_leaps_ahead_is_believed_after_an_hour_and_one_that_is_set_back_at_once() -> None:
    year = 365 * DAY
    clock = SafeClock(1000.0, 5.0)
    assert clock.now(1000.0 + year, 5.0) == 1000.0, "of what passed before nothing is known"
    assert clock.now(1010.0 + year, 15.0) == 1010.0, "ten seconds have really passed"
    assert clock.now(4599.0 + year, 3604.0) == 4599.0
    assert clock.now(4600.0 + year, 3605.0) == 4600.0 + year
    assert clock.now(5000.0, 4005.0) == 5000.0
    assert clock.now(5000.0 + year, 4005.0) == 5000.0
    assert clock.now(9000.0, 8005.0) == 9000.0, "it was put right"
    assert clock.now(9000.0 + year, 8005.0) == 9000.0
    assert clock.now(12599.0 + 2 * year, 11604.0) == 12599.0, "another leap begins anew"
    assert clock.now(12600.0 + 2 * year, 11605.0) == 12600.0
    assert clock.now(16199.0 + 2 * year, 15204.0) == 16199.0 + 2 * year


def test_a_time_has_come_when_the_clock_shows_it_and_is_believed() -> None:
    year = 365 * DAY
    assert seconds_until(1100.0, shown=1010.0, counts=1010.0) == 90.0
    assert seconds_until(1100.0, shown=1100.0, counts=1100.0) == 0.0
    assert seconds_until(1100.0, shown=1010.0 + year, counts=1010.0) == 90.0, "the clock has leapt"
    assert seconds_until(1010.0 + year / 2, shown=1010.0 + year, counts=1010.0) == STANDS, "by then it is believed"


def test_what_counted_counts_at_the_next_start_unless_the_clock_has_stood_by_what_it_showed_since() -> None:
    counted, noted = 1000.0, 1000.0 + 365 * DAY
    assert last_seen(counted, noted, noted + 60) == counted, "a second start tells nothing new of the clock"
    assert last_seen(counted, noted, noted + STANDS) == noted
    assert last_seen(counted, noted, counted + 60) == counted, "it was put right"


def test_a_clock_that_goes_a_little_too_fast_is_believed() -> None:
    clock = SafeClock(1000.0, 0.0)
    for hour in range(1, 1000):
        assert clock.now(1000.0 + hour * 3659.0, hour * 3600.0) == 1000.0 + hour * 3659.0
