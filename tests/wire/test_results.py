"""How runs' work ended is remembered for a while, and that a run is under way for as long as it is."""

from functools import partial

from wire import headers
from wire.results import KEPT, Outcome, Results


def test_a_run_that_is_under_way_is_known_however_many_others_came_and_went_since() -> None:
    results, heard = Results(), list[Outcome]()
    results.begin("r-long", "r-parent")
    for number in range(KEPT + 5):
        results.begin(f"r-{number}", "operator")
        results.keep(f"r-{number}", headers.Done(number=0), b"", frozenset())
    assert results.known("r-long", "r-parent")
    results.wait("r-long", heard.append, lambda: True)
    results.keep("r-long", headers.Done(number=0), b"late", frozenset())
    assert [one.body for one in heard] == [b"late"]
    known = [f"r-{number}" for number in range(KEPT + 5) if results.known(f"r-{number}", "operator")]
    assert known == [f"r-{number}" for number in range(6, KEPT + 5)], "the first ones that had ended are forgotten"


def test_a_run_that_was_erased_is_known_no_more() -> None:
    results = Results()
    for run in ("r-gone", "r-kept"):
        results.begin(run, "operator")
        results.keep(run, headers.Done(number=0), b"what it came to", frozenset())
    results.forget("r-gone")
    results.forget("r-nobody")
    assert [results.known(run, "operator") for run in ("r-gone", "r-kept")] == [False, True]


def _hear(heard: list[int], number: int, _: Outcome) -> None:
    heard.append(number)


def test_who_waits_no_more_is_forgotten_and_who_does_hears_it() -> None:
    results, heard, waiting = Results(), list[int](), set(range(1_000))
    results.begin("r-long", "r-parent")
    for number in range(1_000):
        results.wait("r-long", partial(_hear, heard, number), partial(waiting.__contains__, number))
        waiting -= {number} if number % 100 else set()
    assert len(results._hear["r-long"]) == 11
    results.keep("r-long", headers.Done(number=0), b"late", frozenset())
    assert [one for one in heard if one in waiting] == list(range(0, 1_000, 100))
