"""Consolidation: near-duplicates become one, what recurs rises, what fades is archived, and nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import fading
from memory.checking import verify
from memory.consolidation import consolidate
from memory.fading import DAY
from memory.filters import Filters
from memory.fragments import New, add, get, listed, use
from memory.recall import Question, recall
from memory.sameness import near_duplicate_key
from memory.store import Store
from memory.words import index_terms
from tests.memory.clock import Clock


def test_near_duplicates_become_one_that_has_what_both_had(store: Store) -> None:
    kept = add(store, "", New(text="Ben likes the green tea", labels=("chat",), source="a")).number
    other = add(store, "", New(text="Ben liked a green tea", labels=("web",), source="b", importance=0.9)).number
    report = consolidate(store)
    assert (report.looked, len(report.merged), report.after) == (2, 1, None)
    found = get(store, "", kept)
    assert (found.labels, found.importance, found.seen) == (("chat", "web"), 0.9, 2)
    assert {origin.source for origin in found.origins} == {"a", "b"}
    archived = get(store, "", other)
    assert (archived.state, archived.successor, archived.text) == ("archived", kept, "Ben liked a green tea")
    assert [one.fragment.number for one in recall(store, "", Question(text="tea")).found] == [kept]
    assert verify(store) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The build takes 5 minutes", "The build takes 6 minutes"),
        ("Ben likes green tea", "Ann likes green tea"),
        ("Ben likes green tea", "Ben likes no green tea"),
        ("deploy to staging", "deploy to production"),
        ("from Rome to Oslo", "from Oslo to Rome"),
        ("it is -5 here", "it is 5 here"),
        ("version 3.11 works", "version 31.1 works"),
        ("he can", "he can't"),
    ],
)
def test_what_differs_in_anything_that_matters_stays_two(store: Store, one: str, other: str) -> None:
    add(store, "", New(text=one))
    add(store, "", New(text=other))
    assert consolidate(store).merged == ()
    assert near_duplicate_key(one, index_terms(one, "english")) != near_duplicate_key(
        other, index_terms(other, "english")
    )


def test_spaces_and_kinds_are_never_merged(store: Store) -> None:
    add(store, "", New(text="Ben likes tea"))
    add(store, "s", New(text="Ben liked tea"))
    add(store, "", New(text="Ben liked tea", kind="fact"))
    assert consolidate(store).merged == ()


def test_what_has_other_metadata_is_no_duplicate(store: Store) -> None:
    add(store, "", New(text="Ben likes tea", metadata={"of": "2024"}))
    add(store, "", New(text="Ben liked tea", metadata={"of": "2025"}))
    assert consolidate(store).merged == ()


def test_what_is_used_fades_more_slowly(store: Store, clock: Clock) -> None:
    idle, used = (add(store, "", New(text=text, importance=0.0)).number for text in ("idle", "used"))
    for _ in range(3):
        use(store, "", (used,))
    clock.time += 200 * DAY  # 1 / (1 + 200 / 30) is below what is archived, 1 / (1 + 200 / 120) is not
    consolidate(store)
    assert [one.number for one in listed(store, "")] == [used]
    assert get(store, "", idle).state == "archived"


def test_what_was_said_again_is_as_fresh_as_the_last_time(store: Store) -> None:
    kept = add(store, "", New(text="Ben likes the green tea", time=1_000)).number
    add(store, "", New(text="Ben liked a green tea", time=9_000))
    assert len(consolidate(store).merged) == 1
    assert get(store, "", kept).time == 9_000  # as when the very same is stored again
    assert [one.number for one in listed(store, "", Filters(since=5_000))] == [kept]


def test_what_recurs_gains_importance_once_for_each_step(store: Store) -> None:
    number = add(store, "", New(text="tea")).number
    for _ in range(fading.RECURRING):
        use(store, "", (number, number))
    assert len(consolidate(store).promoted) == 1
    assert consolidate(store).promoted == ()
    assert get(store, "", number).importance == pytest.approx(0.6)


def test_what_faded_is_archived_and_stays_in_history(store: Store, clock: Clock) -> None:
    idle = add(store, "", New(text="idle", importance=0.0)).number
    used = add(store, "", New(text="used", importance=0.0)).number
    vital = add(store, "", New(text="vital", importance=1.0)).number
    clock.time += 100 * DAY
    use(store, "", (used,))
    clock.time += 100 * DAY
    assert len(consolidate(store).archived) == 1
    assert [one.number for one in listed(store, "")] == [used, vital]
    assert get(store, "", idle).state == "archived"
    assert recall(store, "", Question(text="idle")).found == ()


def test_it_goes_through_all_in_steps(store: Store) -> None:
    for number in range(7):
        add(store, "", New(text=f"number {number}"))
    looked, after = 0, 0
    while True:
        report = consolidate(store, after, 3)
        looked += report.looked
        if report.after is None:
            break
        after = report.after
    assert looked == 7


@given(age=st.integers(-DAY, 10**17), again=st.integers(0, 1000), importance=st.floats(0, 1))
def test_strength_falls_with_age_and_rises_with_use_and_importance(age: int, again: int, importance: float) -> None:
    now = fading.strength(age=age, again=again, importance=importance)
    assert 0 <= now <= 1
    assert fading.strength(age=age + DAY, again=again, importance=importance) <= now
    assert fading.strength(age=age, again=again + 1, importance=importance) >= now
    assert fading.strength(age=age, again=again, importance=1.0) == 1


def test_the_curve_is_the_documented_one() -> None:
    told = [
        fading.strength(age=60 * DAY, again=again, importance=importance)
        for again, importance in ((0, 0), (1, 0), (0, 0.5))
    ]
    assert told == pytest.approx([1 / 3, 1 / 2, 3**-0.5])
