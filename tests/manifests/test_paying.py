"""Who pays for a call, what it may cost beside others, and what follows when it cost more, or when its word comes late."""

import pytest
from msgspec.structs import replace

from manifests.budgets import Reservations
from manifests.calls import OpenCall
from manifests.installed import Installed, Package
from manifests.ledger import minus
from manifests.paying import (
    OWING_MOST,
    UNBOUNDED,
    Owed,
    accounts,
    add_spent,
    call_bounds,
    correct,
    hand_report,
    home_report,
    left_for,
    newly_used_up,
    overspent_text,
    owe,
    reserve,
    settle,
    shortage,
)
from manifests.policy import Link
from manifests.schema import Allowance, Budget, HandSection, Manifest, Provided
from manifests.state import State
from wire import headers
from wire.amounts import Cost
from wire.canonical import INT_LIMIT
from wire.errors import Late
from wire.ids import HandId

NOW = 1_795_000_000_000_000
MINE = Link(hand="h-1", name="asker", grants=None)
OPERATOR = Link(hand="", name="operator", grants=None)
TEN = Cost(tokens=10, micro_dollars=0)


def _state(tokens: int, home: int = 1_000) -> State:
    section = HandSection(name="asker", version="1.0.0", description="x", entry="m:C", kind="task", autonomy="full")
    manifest = Manifest(hand=section, budget=Budget(tokens=(Allowance(amount=tokens, window="day"),)))
    hand = Installed(
        id=HandId("h-1"), name="asker", version="1.0.0", folder="f", number=1, seal="",
        package=Package(seal="", manifest=manifest, digest=""),
    )  # fmt: skip
    return State(hands={"asker": hand}, budgets={"": Budget(tokens=(Allowance(amount=home, window="day"),))})


def _call(
    number: int,
    most: Cost | None = None,
    parent: OpenCall | None = None,
    method: str = "models.chat",
    by: Link = MINE,
    route: bytes = b"peer",
) -> OpenCall:
    return OpenCall(
        number, "r-1", by, route, 1, provided=Provided(method=method, summary="", resource="none", effect="external"),
        resource="", body=b"", parent=parent, deadline=105.5, labels=frozenset(), most=most, upload=False,
    )  # fmt: skip


def test_a_hand_that_was_removed_is_bounded_by_nothing_and_the_home_still_is() -> None:
    found = accounts(_state(50), ["h-1", "h-gone", ""])
    assert [(one.name, [held.amount for held in one.budget.tokens]) for one in found] == [
        ("asker", [50]), ("", []), ("", [1_000]),
    ]  # fmt: skip


def test_what_another_call_might_cost_and_take_is_the_least_of_all_that_bounds_it() -> None:
    reservations, state, parent = Reservations(), _state(50), _call(2, TEN)
    alone = call_bounds(reservations, state, _call(2), NOW, 100.0)
    assert (alone["tokens_left"], alone["micro_dollars_left"], alone["milliseconds_left"]) == (50, None, None)
    reserve(reservations, parent)
    within = call_bounds(reservations, state, _call(4, parent=parent), NOW, 100.0)
    assert (within["tokens_left"], within["milliseconds_left"]) == (10, 5_500)
    assert call_bounds(reservations, state, _call(4, parent=parent), NOW, 200.0)["milliseconds_left"] == 0
    assert [(row["amount"], row["left"]) for row in within["budget"]] == [(50, 40)]  # type: ignore[attr-defined]
    assert call_bounds(reservations, state, _call(6, by=OPERATOR), NOW, 100.0)["budget"] == []
    assert hand_report(reservations, state, "h-1", NOW)["budget"] == within["budget"]
    home = home_report(reservations, state, NOW)["budgets"]
    assert [(row["name"], row["left"]) for row in home] == [("", 990), ("asker", 40)]  # type: ignore[attr-defined]


def test_a_call_is_short_that_costs_more_than_is_left_or_costs_at_all_where_nothing_is() -> None:
    reservations, state = Reservations(), _state(50)

    def why(
        method: str = "models.chat", most: Cost | None = None, parent: OpenCall | None = None, *, alone: bool = False
    ) -> str:
        found = shortage(reservations, state, MINE, parent, method, most, lambda: NOW, alone=alone)
        return "" if found is None else f"{found.needed} of {found.left}"

    assert why(most=replace(TEN, tokens=50)) == why() == ""
    assert why(most=replace(TEN, tokens=51)) == "51 of 50"
    assert why("kernel.spawn", replace(TEN, tokens=51)) == "", "what a run spends are its calls"
    parent = _call(2, TEN)
    reserve(reservations, parent)
    assert why(most=replace(TEN, tokens=11), parent=parent) == "11 of 10"
    assert why(most=replace(TEN, tokens=11), parent=parent, alone=True) == "", "it outlives that, and pays for itself"
    state.ledger.spend(["h-1"], replace(TEN, tokens=40), "models.chat", NOW)
    assert (why(), why("web.fetch")) == ("1 of 0", "")
    found = shortage(reservations, state, MINE, None, "models.chat", replace(TEN, tokens=20), lambda: NOW, alone=False)
    assert found is not None
    assert found.room is not None
    assert (newly_used_up(found), found.room.left) == (found.room, 0)
    assert newly_used_up(found._replace(room=replace(found.room, notified=100))) is None
    assert newly_used_up(found._replace(needed=5)) is None, "it fits when what is under way has cost less"
    assert newly_used_up(found._replace(room=None)) is None


def test_only_what_a_call_may_cost_is_reserved_and_nothing_for_the_kernels_own() -> None:
    reservations, state = Reservations(), _state(50)
    calls = [_call(2), _call(4, TEN, method="kernel.spawn"), _call(6, TEN)]
    for call in calls:
        reserve(reservations, call)
    assert [call.reservation is not None for call in calls] == [False, False, True]
    assert reservations.rooms(state.ledger, accounts(state, ["h-1"])[0], NOW)[0].reserved == 10


@pytest.mark.parametrize(
    ("above", "costs", "told"),
    [
        (None, False, None),
        (None, True, (50, UNBOUNDED)),
        (Cost(tokens=30, micro_dollars=7), False, (30, 7)),
        (Cost(tokens=30, micro_dollars=0), True, (30, UNBOUNDED)),
        (Cost(tokens=0, micro_dollars=0), True, (0, 0)),
        (Cost(tokens=0, micro_dollars=7), True, (50, 7)),
    ],
)
def test_of_a_call_without_most_its_provider_is_told_what_is_left(
    above: Cost | None, costs: bool, told: tuple[int, int] | None
) -> None:
    reservations, state, parent = Reservations(), _state(50), _call(2, above)
    reserve(reservations, parent)
    if costs:
        state.ledger.spend((), TEN, "models.chat", NOW)
    work, call, own = _call(4, parent=parent, route=b""), _call(6, parent=parent), _call(8, TEN, parent)
    found = [left_for(reservations, state, one, NOW) for one in (work, own, call)]
    assert found == [None, None, told and Cost(tokens=told[0], micro_dollars=told[1])]


def test_what_a_call_cost_is_spent_and_what_was_reserved_beside_is_free_again() -> None:
    reservations, state, outer = Reservations(), _state(50), _call(2, replace(TEN, tokens=30))
    reserve(reservations, outer)
    inner, plain = _call(4, TEN, outer), _call(6, parent=outer)
    reserve(reservations, inner)
    assert settle(reservations, state, inner, replace(TEN, tokens=12), NOW) == (2, 0)
    assert outer.reservation is not None
    assert outer.reservation.left == (18, 0)
    assert settle(reservations, state, plain, replace(TEN, tokens=5), NOW) == (0, 0), (
        "it said nothing of what it might cost"
    )
    assert outer.reservation.left == (13, 0), "and it was paid out of what it was made for"
    assert settle(reservations, state, outer, None, NOW) == (0, 0)
    (room,) = reservations.rooms(state.ledger, accounts(state, ["h-1"])[0], NOW)
    assert (room.spent, room.reserved) == (17, 0)
    assert overspent_text(inner, (2, 0)) == (
        "models.chat cost 2 tokens more than was left of the 10 tokens and 0.00 dollars that it might cost at most"
    )


def test_a_late_word_corrects_a_charge_once_and_the_oldest_are_given_up() -> None:
    owing: dict[int, Owed] = {}
    for number in range(2, 2 * OWING_MOST + 4, 2):
        owe(owing, _call(number, TEN), TEN, NOW)
    assert (len(owing), 2 in owing, 4 in owing) == (OWING_MOST, False, True)
    for cost, back, more in ((Cost(tokens=4, micro_dollars=3), (6, 0), (0, 3)), (None, (10, 0), (0, 0))):
        call, fields, *found = correct(owing[4], headers.Done(number=4, cost=cost))
        assert (call.number, found) == (4, [back, more])
        assert (fields["call"], fields["parent"], fields["verdict"]) == (4, 0, "corrected")
        assert fields["run"] == "r-1"  # also of a caller that has ended: it was spent for those that spawned it, too
        assert fields["detail"] == {
            "payers": ["h-1", ""], "at": NOW, "method": "models.chat",
            "back": {"tokens": back[0], "micro_dollars": back[1]}, "more": {"tokens": more[0], "micro_dollars": more[1]},
        }  # fmt: skip
    assert correct(owing[4], headers.Refused(number=4, code="paused", why=""))[2] == (10, 0)
    with pytest.raises(Late):
        correct(None, headers.Done(number=4))


def test_what_was_spent_for_a_call_is_known_at_each_call_above_it_but_for_a_detached_one() -> None:
    reservations, state, work = Reservations(), _state(50), _call(2)
    tool = _call(4, parent=work)
    model, alone = _call(6, parent=tool), _call(8, parent=tool)
    alone.is_detached = True
    for call, cost in ((model, 7), (_call(10, parent=alone), 20), (alone, 30), (tool, 1)):
        settle(reservations, state, call, Cost(tokens=cost, micro_dollars=2 * cost), NOW)
    assert [one.tokens for one in (work, tool, alone, model)] == [8, 7, 20, 0]
    assert [one.micro_dollars for one in (work, tool)] == [16, 14]
    correct((model, (7, 14), NOW), headers.Done(number=6, cost=Cost(tokens=9, micro_dollars=4)))
    assert (work.tokens, work.micro_dollars) == (10, 6)
    told = call_bounds(reservations, state, _call(12, parent=work), NOW, 100.0)
    assert (told["tokens_in_all"], told["micro_dollars_in_all"]) == (10, 6)
    assert "tokens_in_all" not in call_bounds(reservations, state, _call(14), NOW, 100.0)


def test_what_a_run_has_spent_stays_a_number_that_the_log_takes() -> None:
    assert add_spent((5, 5), (3, 0), (1, 9)) == (7, 0)
    assert add_spent((INT_LIMIT - 1, 0), (1, 1)) == (INT_LIMIT - 1, 1)
    assert minus((1, 1), (2, 0)) == (0, 1)
