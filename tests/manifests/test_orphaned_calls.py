"""What becomes of calls that nobody lives to end: told once, spent in full where nobody can tell, free where none began."""

from msgspec.structs import replace

from manifests.budgets import Reservations
from manifests.calls import OpenCall
from manifests.lives import OUTCOME_UNKNOWN
from manifests.orphaned_calls import (
    end_entries,
    end_if_unmade,
    ends_after_crash,
    failure_at_death,
    settle_lost,
    waited,
    with_spent,
)
from manifests.policy import Link
from manifests.schema import Provided
from manifests.state import State
from manifests.unfinished import Open, Unfinished
from wire.amounts import Cost
from wire.headers import Cancelled, Failed

BEGUN, WAITED = Open(method="models.chat", most=(20, 0), payers=("h", "")), Open(method="models.chat", is_begun=False)


def test_a_run_that_is_left_tells_which_of_its_calls_only_waited() -> None:
    assert waited([(4, BEGUN), (6, WAITED), (8, WAITED)]) == {"waited": [6, 8]}
    assert waited([(4, BEGUN)]) == waited([]) == {}


def test_what_nobody_comes_back_to_is_spent_but_for_what_never_began() -> None:
    reservations = Reservations()
    outer = reservations.open(2, ("h",), (50, 5), None)
    reserved = {4: reservations.open(4, ("h",), (20, 1), outer), 6: reservations.open(6, ("h",), (10, 1), outer)}
    reservations.spend(reserved[4], (5, 0))
    assert with_spent([(4, BEGUN), (8, WAITED)], reserved) == {
        4: Open(method="models.chat", most=(20, 0), payers=("h", ""), inner=(5, 0)),
        8: WAITED,
    }
    settle_lost(reservations, reserved, [(4, BEGUN), (6, WAITED)])
    assert (outer.unspent, outer.left) == ((30, 4), (30, 4))


def test_whoever_called_hears_whether_something_may_have_been_done() -> None:
    assert end_if_unmade(7, BEGUN, "it was ended", 3) == Failed(
        number=7, code=OUTCOME_UNKNOWN, text="it was ended", time=3
    )
    assert end_if_unmade(7, WAITED, "it was ended", 3) == Cancelled(number=7, why="it was ended", time=3)


def test_only_what_was_reserved_and_may_have_begun_has_cost_something() -> None:
    within = Open(method="models.chat", most=(5, 1), payers=("h", ""), within=4)
    work = Open(method="run", most=(9, 9), payers=("h", ""))
    held = Open(method="models.chat", most=(3, 3), payers=("h", ""), is_begun=False)
    ends = end_entries({4: BEGUN, 6: within, 8: work, 10: held, 12: Open(method="web.fetch")}, "it was ended")
    told = [(one["call"], one["verdict"], one.get("cost"), one.get("detail")) for one in ends]
    assert told == [
        (12, "failed", None, None),
        (10, "cancelled", None, None),
        (8, "failed", None, None),
        (6, "failed", Cost(tokens=5, micro_dollars=1), {"payers": ["h", ""], "within": 4}),
        (4, "failed", Cost(tokens=15, micro_dollars=0), {"payers": ["h", ""]}),
    ]


def test_of_runs_that_go_on_neither_their_work_nor_what_they_called_is_ended() -> None:
    def run(number: int) -> Unfinished:
        return Unfinished(name="a", hand="h", seal="s", made_of={}, work=number)

    state = State(unfinished={"r-1": run(2), "r-2": run(4)})
    state.open = {
        2: Open(method="run", run="r-1"), 4: Open(method="run", run="r-2"), 6: Open(method="a.b", run="r-1"),
        8: Open(method="a.b", run="r-2"), 10: Open(method="run", run="r-1"), 12: Open(method="a.b"),
    }  # fmt: skip
    assert [one["call"] for one in ends_after_crash(state, {"r-1"})] == [12, 10, 8, 4], (
        "10 is the work of a run that r-1 began"
    )


def test_who_waits_for_a_service_that_died_hears_its_last_words_only_as_the_operator() -> None:
    """They may be of anything that it has seen, also for others, and the end of this call has no labels of that."""
    fetch, by = (
        Provided(method="web.fetch", summary="", resource="url", effect="write"),
        Link(hand="", name="", grants=None),
    )
    call = OpenCall(
        4, "r-1", by, b"route", 1, provided=fetch, resource="", body=b"", parent=None, deadline=0.0, labels=frozenset(),
        most=None, upload=False,
    )  # fmt: skip
    call.was_taken_back, why = True, "ValueError: from the web"
    told = f"run ended: {why}: look before you repeat web.fetch"
    assert failure_at_death(call, "web", why, may_repeat=False) == (OUTCOME_UNKNOWN, told)
    call.by = replace(by, hand="h-1", name="web")
    assert failure_at_death(call, "web", why, may_repeat=False) == (
        OUTCOME_UNKNOWN,
        "run ended: look before you repeat web.fetch",
    )
    call.provided = replace(fetch, effect="read")
    assert failure_at_death(call, "web", why, may_repeat=False) == ("ended", "run ended")
