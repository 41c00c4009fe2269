"""Held calls as people are shown them: a page of them fits into one answer, whatever they are like."""

import pytest
from msgspec.structs import replace

from manifests.approvals import Reason
from manifests.calls import RESTS_FROM, OpenCall
from manifests.holding import (
    ELSEWHERE,
    KEPT_MOST,
    LISTED,
    SMALL,
    SPAWNED_MOST,
    all_waiting,
    check_kept,
    check_spawned,
    count_held,
    crowding_hands,
    current_rules,
    end_for_heir,
    event_body,
    held_row,
    is_clock_stopped,
    names_to_seal,
    replacement,
    statement_of,
    with_answer,
)
from manifests.installed import Installed, Package
from manifests.names import LONGEST_NAME
from manifests.policy import Link
from manifests.readers import LONGEST_SUMMARY
from manifests.schema import HandSection, Manifest, Provided
from manifests.standing_rules import Rule
from manifests.state import State
from wire import codec, headers, limits
from wire.amounts import Cost
from wire.approval import Answer, RuleSaid
from wire.entries import body_digest
from wire.errors import Refusal
from wire.ids import HandId

WIDE = "\U00010400"
"""A character of four bytes."""


def test_a_page_of_the_largest_held_calls_fits_into_one_answer() -> None:
    name, method = "n" * LONGEST_NAME, "m." + "m" * (limits.METHOD_MAX - 2)
    provided = Provided(method=method, summary=WIDE * LONGEST_SUMMARY, resource="path", effect="external")
    labels = frozenset(WIDE * (limits.LABEL_MAX - 2) + f"{number:02}" for number in range(limits.LABELS_MAX))
    call: OpenCall | None = None
    for depth in range(limits.CHAIN_MAX):
        call = OpenCall(
            2**53 - 2 - depth, "r-0123456789abcdef", Link(hand="h-0123456789abcdef", name=name, grants=None), b"", 1,
            provided=provided, resource="r" * limits.RESOURCE_MAX, body=b"", parent=call, deadline=0.0, labels=labels,
            most=None, upload=True,
        )  # fmt: skip
    assert call is not None
    whose, wish = (
        Reason(hand=call.by.hand, name=name, why=f"{name} holds {method} with approval = true"),
        WIDE * limits.WHY_MAX,
    )
    call.asks = (replace(whose, why=f"{name} asks you itself: {wish}", itself=True), *[whose] * limits.CHAIN_MAX)
    told = held_row(call, [call], _installed(name))
    assert len(codec.encode_body({"approvals": [told] * LISTED})) <= limits.BODY_MAX


@pytest.mark.parametrize(
    ("places", "greedy", "held"),
    [
        (64, 1, [32]),
        (32, 1, [16]),
        (32, 4, [16, 8, 4, 2]),
        (5, 1, [3]),
        (4, 2, [2, 1]),
        (3, 1, [2]),
        (2, 1, [1]),
        (1, 1, [1]),
    ],
)
def test_whatever_greedy_hands_have_open_another_finds_a_place(places: int, greedy: int, held: list[int]) -> None:
    served: list[OpenCall] = []
    for hand in map("h-{}".format, range(greedy)):
        while len(served) < places and hand not in crowding_hands(served, places):
            served.append(_call(hand))
    assert [sum(one.by.hand == f"h-{number}" for one in served) for number in range(greedy)] == held
    assert places == 1 or (len(served) < places and "h-other" not in crowding_hands(served, places))


def test_the_operator_crowds_nobody_out() -> None:
    assert crowding_hands([_call("") for _ in range(4)], 4) == set()
    assert crowding_hands([_call(""), _call(""), _call("h-1")], 4) == {"h-1"}


def _call(hand: str) -> OpenCall:
    provided = Provided(method="a.b", summary="", resource="none", effect="read")
    return OpenCall(
        2, "r-1", Link(hand=hand, name="a", grants=None), b"", 1, provided=provided, resource="", body=b"", parent=None,
        deadline=0.0, labels=frozenset(), most=None, upload=False,
    )  # fmt: skip


def _work(spawner: str, hand: str = "h-1", route: bytes = b"") -> OpenCall:
    made = _call(hand)
    made.caller, made.route = spawner, route
    return made


def test_runs_that_spawn_runs_that_spawn_runs_are_bounded_as_one() -> None:
    tree = [_work(f"r-{number}") for number in range(SPAWNED_MOST)]
    check_spawned(tree[1:], "r-0", "h-1", 16)
    check_spawned([*tree[1:], _work("r-0", route=b"x"), _work("r-0", "h-2")], "r-0", "h-1", 16)
    with pytest.raises(Refusal, match="1,024 runs that its Hand's runs spawned still work"):
        check_spawned(tree, "r-new", "h-1", 16)
    own = [_work("r-1")] * 4
    check_spawned(own, "r-1", "h-1", 5)
    with pytest.raises(Refusal, match="4 runs that it spawned still work"):
        check_spawned(own, "r-1", "h-1", 4)


def _installed(name: str) -> Installed:
    section = HandSection(name=name, version="1.0.0", description="x", entry="m:C", kind="task", autonomy="full")
    package = Package(seal="", manifest=Manifest(hand=section), digest="")
    return Installed(id=HandId("h-1"), name=name, version="1.0.0", folder="f", number=1, seal="", package=package)


class _Looked(OpenCall):
    """A call that counts how often all that is shown of it is compared."""

    looks = 0

    def shown_labels(self) -> tuple[str, ...]:
        """As it is."""
        type(self).looks += 1
        return super().shown_labels()


def test_a_page_of_many_held_calls_compares_each_with_those_of_its_own_hand_alone() -> None:
    provided = Provided(method="a.b", summary="", resource="none", effect="external")
    held = [
        _Looked(
            2 * number, "r-1", Link(hand=f"h-{number // 20}", name="n", grants=None), b"", 1, provided=provided,
            resource="", body=bytes([number % 2]), parent=None, deadline=0.0, labels=frozenset(), most=None, upload=False,
        )
        for number in range(1, 1_001)
    ]  # fmt: skip
    rows = [held_row(call, held, _installed("n")) for call in held[:LISTED]]
    assert [one["like"] for one in rows[:3]] == [2, 4, 2]
    assert _Looked.looks <= LISTED * (20 + 2)


def _kept(hand: str, body: int, *early: int, state: str = "open") -> OpenCall:
    call = OpenCall(
        2, "r-1", Link(hand=hand, name="n", grants=None), b"", 1,
        provided=Provided(method="a.b", summary="", resource="none", effect="read"), resource="", body=bytes(body),
        parent=None, deadline=0.0, labels=frozenset(), most=None, upload=bool(early),
    )  # fmt: skip
    call.early, call.state = [(headers.Chunk(number=1), bytes(one)) for one in early], state
    return call


def test_what_is_kept_for_all_open_calls_of_a_hand_is_bounded() -> None:
    half, mib = KEPT_MOST // 2, limits.MIB
    mine = [_kept("h-1", half - mib, state="delivered"), _kept("h-1", 0, mib, half - mib)]
    check_kept(mine, "h-1", mib)
    with pytest.raises(Refusal, match="128 MiB already"):
        check_kept([*mine, _kept("h-1", 1)], "h-1", mib)
    check_kept([*mine, _kept("h-1", mib)], "h-2", mib)
    check_kept([*mine, _kept("", mib)], "", mib)
    check_kept([*mine, _kept("h-1", mib)], "h-1", SMALL)


def _made(number: int, method: str = "post.send", parent: OpenCall | None = None, **more: object) -> OpenCall:
    """A call that is open for another one."""
    call = OpenCall(
        number, "r-1", Link(hand="h-1", name="n", grants=None), b"route", 1,
        provided=Provided(method=method, summary="", resource="none", effect="external"), resource="", body=b"\xc0",
        parent=parent, deadline=9.0, labels=frozenset(("web",)), most=Cost(tokens=5, micro_dollars=6), upload=False,
    )  # fmt: skip
    if parent is not None:
        parent.children[number] = call
    for name, value in more.items():
        setattr(call, name, value)
    return call


@pytest.mark.parametrize(
    ("beside", "waits"),
    [
        ({}, {2, 4, 6}),
        ({"method": "web.fetch"}, {4, 6}),
        ({"method": "kernel.wait"}, {2, 4, 6}),
        ({"method": "kernel.spawn"}, {2, 4, 6}),
        ({"method": "web.fetch", "state": "held"}, {2, 4, 6}),
        ({"method": "kernel.sleep", "alarm_at": 100 + RESTS_FROM}, {4, 6}),
        ({"method": "kernel.sleep", "alarm_at": 101 + RESTS_FROM}, {2, 4, 6}),
    ],
)
def test_whoever_has_something_else_under_way_does_not_wait_with_its_held_call(
    beside: dict[str, object], waits: set[int]
) -> None:
    work = _made(2, "run")
    held = _made(6, parent=_made(4, "b.c", work), state="held")
    if beside:
        _made(8, parent=work, **beside)  # type: ignore[arg-type]
    assert all_waiting([held], 100) == waits
    assert all_waiting([held, _made(10, parent=held, state="held")], 100) == waits | {10}
    assert all_waiting([], 100) == set()


def test_clocks_stand_still_of_what_waits_for_the_operator_and_while_all_or_a_hand_of_it_stands_still() -> None:
    work = _made(2, "run")
    sleep, fetch = _made(4, "kernel.sleep", work), _made(6, "web.fetch", work)
    own, frozen = _made(8, caller="operator"), State(frozen=True)
    assert [is_clock_stopped(one, "h-2", {2}, State()) for one in (work, sleep, fetch)] == [True, True, False]
    assert [is_clock_stopped(one, "h-2", set(), State()) for one in (work, sleep, fetch)] == [False, False, False]
    assert not is_clock_stopped(_made(10, "kernel.sleep"), "", {2}, State())
    assert is_clock_stopped(fetch, "h-2", set(), frozen)
    assert not is_clock_stopped(own, "h-2", set(), frozen), "his own calls pass"
    assert is_clock_stopped(_made(8, "run", caller="operator", route=b""), "h-2", set(), frozen), "but no run's work"
    paused = [is_clock_stopped(fetch, "h-2", set(), State(paused={hand})) for hand in ("h-1", "h-2", "h-3")]
    assert paused == [True, True, False]


def test_held_calls_are_counted_by_run_and_by_hand() -> None:
    other = Link(hand="h-2", name="o", grants=None)
    held = [_made(2), _made(4, caller="r-2"), _made(6, by=other)]
    assert count_held(held, "r-1", "h-1") == (2, 2)
    assert count_held(held, "r-3", "h-2") == (0, 1)


KEY = b"k" * 32


def test_what_is_to_be_signed_is_the_held_call_with_the_answers_own_words_and_no_more() -> None:
    held = statement_of(_made(2), KEY, "home", _installed("n"))
    assert (held.call, held.hand, held.method, held.arguments) == (2, "h-1", "post.send", body_digest(KEY, b"\xc0"))
    rule, given = RuleSaid(pattern="*", until=9), body_digest(KEY, b"other")

    def answered(verdict: str, body: bytes | None) -> object:
        said = replace(held, verdict=verdict, call=4, hand="h-9", time=7, why="so", rule=rule, instead=given)
        found = with_answer(held, Answer(statement=said, key="", signature=""), body, KEY)
        assert found == replace(held, verdict=verdict, time=7, why="so", rule=rule, instead=found.instead)
        return found.instead

    assert answered("edited", b"mine") == body_digest(KEY, b"mine"), "of the body that came, not what the answer says"
    assert answered("edited", None) is answered("approved", b"mine") is answered("denied", b"mine") is None


def test_what_the_operator_calls_instead_has_all_of_the_held_call_but_its_arguments_and_caller() -> None:
    held = _made(2, depth=3, left=4.0)
    own = replacement(held, 8, b"other", 100.0)
    assert (own.caller, own.by.grants, own.route, own.parent, own.body) == ("operator", None, ELSEWHERE, None, b"other")
    assert (own.heir, own.depth, own.deadline, own.labels, own.most) == (held, 3, 104.0, held.labels, held.most)
    for call, body in ((held, None), (_made(2, "kernel.spawn"), b""), (_made(2, upload=True), b"")):
        with pytest.raises(Refusal) as refusal:
            replacement(call, 8, body, 100.0)
        assert refusal.value.code == "edit"


def test_the_end_of_a_call_that_was_made_instead_costs_its_heir_nothing() -> None:
    done = headers.Done(number=8, cost=Cost(tokens=1, micro_dollars=1))
    refused = headers.Refused(number=8, code="paused", why="")
    call = _made(8)
    assert end_for_heir(call, done, b"body") == (headers.Done(number=8), b"body")
    assert end_for_heir(call, refused, b"body") == (refused, b"body")
    call.step("deliver")
    call.spend_down()
    header, body = end_for_heir(call, done, b"body")
    assert isinstance(header, headers.Failed)
    assert (header.code, body) == ("edited", codec.NIL)


def test_who_hears_of_a_held_call_hears_nothing_of_what_is_in_it() -> None:
    assert event_body(_made(2)) == {
        "call": 2,
        "hand": "n",
        "method": "post.send",
        "until": "1970-01-01T00:00:00.000000Z",
    }


def test_rules_are_told_by_the_names_of_their_hands_while_they_hold() -> None:
    ended, holds = (Rule(method="a.b", pattern="*", until=until, call=2) for until in (5, 6))
    given = {"h-1": (ended, holds), "h-2": (ended,), "h-gone": (holds,)}
    hands = {"n": _installed("n"), "o": replace(_installed("o"), id=HandId("h-2"))}
    assert current_rules(State(hands=hands, rules=given), 5) == {"n": [holds]}
    reason = Reason(hand="h-2", name="o", why="")
    assert names_to_seal(hands["n"], [reason]) == ["n", "o"]
