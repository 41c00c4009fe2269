"""How runs' work ended is remembered for a while, and that a run is under way for as long as it is."""

from functools import partial

from wire import headers
from wire.results import KEPT, LARGE_KEPT, Outcome, Results


def test_a_run_that_is_under_way_is_known_however_many_others_came_and_went_since() -> None:
    results, heard = Results(), list[Outcome]()
    results.begin("r-long", "r-parent")
    for number in range(KEPT + 5):
        results.begin(f"r-{number}", "operator")
        results.set_outcome(f"r-{number}", headers.Done(number=0), b"", frozenset())
    assert results.may_wait("r-long", "r-parent")
    results.wait("r-long", heard.append, lambda: True)
    results.set_outcome("r-long", headers.Done(number=0), b"late", frozenset())
    assert [one.body for one in heard] == [b"late"]
    known = [f"r-{number}" for number in range(KEPT + 5) if results.may_wait(f"r-{number}", "operator")]
    assert known == [f"r-{number}" for number in range(6, KEPT + 5)], "the first ones that had ended are forgotten"


def test_however_many_runs_are_under_way_each_of_them_is_known() -> None:
    results = Results()
    for number in range(KEPT + 5):
        results.begin(f"r-{number}", "operator")
    assert all(results.may_wait(f"r-{number}", "operator") for number in range(KEPT + 5))


def test_a_run_that_was_erased_is_known_no_more() -> None:
    results = Results()
    for run in ("r-gone", "r-kept"):
        results.begin(run, "operator")
        results.set_outcome(run, headers.Done(number=0), b"what it came to", frozenset())
    results.forget("r-gone")
    results.forget("r-nobody")
    assert [results.may_wait(run, "operator") for run in ("r-gone", "r-kept")] == [False, True]


def _hear(heard: list[int], number: int, _: Outcome) -> None:
    heard.append(number)


def test_who_waits_no_more_is_forgotten_and_who_does_hears_it() -> None:
    results, heard, waiting = Results(), list[int](), set(range(1_000))
    results.begin("r-long", "r-parent")
    for number in range(1_000):
        results.wait("r-long", partial(_hear, heard, number), partial(waiting.__contains__, number))
        waiting -= {number} if number % 100 else set()
    assert len(results._waiters["r-long"]) == 11
    results.set_outcome("r-long", headers.Done(number=0), b"late", frozenset())
    assert [one for one in heard if one in waiting] == list(range(0, 1_000, 100))


def test_a_large_value_is_there_still_for_who_waits_a_moment_later_and_the_latest_of_many_are() -> None:
    results, large, body = Results(), LARGE_KEPT >> 20, b"x" * (1 << 20)
    for number in range(large + 2):
        results.begin(f"r-{number}", "r-parent")
        results.set_outcome(f"r-{number}", headers.Done(number=0), body, frozenset())
        assert _late(results, f"r-{number}") == body
    assert [_late(results, f"r-{number}") for number in range(3)] == [None, None, body]
    results.forget("r-2")
    results.begin("r-small", "r-parent")
    results.set_outcome("r-small", headers.Done(number=0), b"small", frozenset())
    for number in range(KEPT):
        results.begin(f"r-next-{number}", "r-parent")
        results.set_outcome(f"r-next-{number}", headers.Done(number=0), body, frozenset())
    assert sum(len(_late(results, f"r-next-{number}") or b"") for number in range(1, KEPT)) == LARGE_KEPT


def _late(results: Results, run: str) -> bytes | None:
    heard = list[Outcome]()
    results.wait(run, heard.append, lambda: True)
    return heard[0].body


def test_a_run_is_known_to_who_asked_for_it_and_to_the_operator_alone() -> None:
    results = Results()
    results.begin("r-child", "r-parent")
    assert [results.may_wait("r-child", one) for one in ("r-parent", "operator", "r-other")] == [True, True, False]
    results.begin("r-again", "r-parent")
    results.replace("r-child", "r-again")
    assert [results.may_wait("r-child", one) for one in ("r-parent", "operator", "r-other")] == [True, True, False]
    assert (results.newest("r-child"), results.replacement("r-child"), results.replacement("r-again")) == (
        "r-again",
    ) * 2 + ("",)


def test_who_waits_for_a_run_to_begin_hears_once_that_it_did_or_that_it_ended_without() -> None:
    results, heard, gone = Results(), list[Outcome | None](), list[str]()
    for run in ("r-1", "r-2"):
        results.begin(run, "operator")
        results.when_begun(run, heard.append)
        results.when_reaped(run, gone.append, run)
    results.on_begun("r-1")
    assert (heard, gone) == ([None], [])
    for run in ("r-1", "r-2"):
        results.set_outcome(run, headers.Done(number=0), b"", frozenset())
        results.on_begun(run)
    assert [one.header if one else None for one in heard] == [None, headers.Done(number=0)]
    results.on_reaped("r-2")
    results.on_reaped("r-2")
    results.on_reaped("r-3")
    assert gone == ["r-2"]


def test_who_waits_for_a_run_hears_how_the_one_ended_that_was_begun_instead() -> None:
    results, heard = Results(), list[Outcome]()
    results.begin("r-1", "r-parent")
    results.wait("r-1", heard.append, lambda: True)
    results.begin("r-2", "r-parent")
    results.replace("r-1", "r-2")
    results.wait("r-1", heard.append, lambda: True)
    results.set_outcome("r-2", headers.Done(number=0), b"it", frozenset())
    results.wait("r-1", heard.append, lambda: True)
    assert [one.body for one in heard] == [b"it"] * 3
