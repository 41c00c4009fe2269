"""The life of a Hand at random: it can always be stopped, its restarts end, and all Hands can stop in order."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from manifests.lives import BACKOFF_FIRST, BACKOFF_MOST, LIFE, after_death, backoff, first_to_stop, step
from manifests.schema import Restart, RestartWhen

STATES = {state for state, _ in LIFE} | set(LIFE.values())
STEPS = st.lists(st.tuples(st.floats(0, 200, allow_nan=False), st.booleans()), max_size=80)


def test_every_state_leads_on_and_can_be_reached() -> None:
    assert {state for state, _ in LIFE} == set(LIFE.values()) == STATES


@given(st.sampled_from(sorted(STATES - {"stopped"})))
def test_whatever_it_does_it_can_be_stopped(state: str) -> None:
    after = step(state, "stop")
    assert after == "stopped" or step(after, "died") == "stopped"


@given(st.sampled_from(get_args(RestartWhen)), st.integers(0, 6), st.integers(1, 300_000), STEPS)
def test_it_is_never_started_more_often_within_its_time_than_it_says(
    when: RestartWhen, times: int, within_ms: int, steps: list[tuple[float, bool]]
) -> None:
    restart, now, deaths = Restart(when=when, times=times, within_ms=within_ms), 0.0, tuple[float, ...]()
    started: list[float] = []
    for wait, clean in steps:
        now += wait
        verdict, deaths = after_death(restart, deaths, now, clean=clean)
        assert (verdict == "done") is (when == "never" or (clean and when == "failure"))
        if verdict == "give_up":
            started = []
        elif verdict == "start":
            started.append(now)
        assert len([moment for moment in started if now - moment <= within_ms / 1000]) <= times
        assert len(deaths) <= times


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_the_wait_grows_and_has_a_bound(deaths: int, chance: float) -> None:
    assert BACKOFF_FIRST <= backoff(deaths, chance) <= BACKOFF_MOST * 1.2
    assert backoff(deaths + 1, 0.0) >= backoff(deaths, 0.0)


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sets(st.sampled_from("abcdefgh")).map(tuple)))
def test_all_stop_and_whoever_is_needed_stops_last(needs: dict[str, tuple[str, ...]]) -> None:
    left = dict(needs)
    while left:
        first = first_to_stop(left)
        needed = {other for name, others in left.items() for other in others if other != name}
        assert first
        assert not first & needed or first == set(left)
        left = {name: others for name, others in left.items() if name not in first}
