"""What single kinds of entries change of the state, case by case; test_state.py has what holds of all of them."""

from functools import partial
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from manifests.installed import Package
from manifests.schema import HandSection, Manifest, Schedule
from manifests.seal import seal
from manifests.standing_rules import Rule
from manifests.state import State, authority, fold
from manifests.trust import TrustedKey
from wire.amounts import Cost
from wire.entries import NO_PREV, Entry, time_micros
from wire.signing import SigningKey

KEY = SigningKey("test", bytes(32))
DAY = "2026-11-21T00:{:02}:00.000000Z"


def _entry(kind: str, minute: int = 0, **more: Any) -> Entry:
    return Entry(seq=0, prev=NO_PREV, time=DAY.format(minute), kind=kind, **{"principal": "kernel", **more})


def _fold(state: State, *entries: Entry) -> State:
    for entry in entries:
        fold(state, entry, lambda folder: pytest.fail(f"{folder} is not loaded"))
    return state


def _installed(state: State, minute: int, schedule: Schedule | None, **more: object) -> int:
    """Since when the schedule of a Hand counts that was installed then."""
    section = HandSection(name="news", version="1.0.0", description="x", entry="m:C", kind="task", autonomy="full")
    text = seal("news", "1.0.0", {"HAND.toml": "0" * 64}, KEY)
    package = Package(seal=text, manifest=Manifest(hand=section, schedule=schedule), digest="0" * 64)
    pinned = sha256(text.encode()).hexdigest()
    detail = {"hand": "h-1", "name": "news", "version": "1.0.0", "folder": "f", "seal": pinned, **more}
    fold(state, _entry("hand.install", minute, detail=detail), lambda _: package)
    return state.hands["news"].since


def test_an_upgrade_that_leaves_a_schedule_as_it_was_goes_on_with_it() -> None:
    state, hourly, daily = State(), Schedule(every_ms=3_600_000), Schedule(every_ms=86_400_000)
    first = time_micros(DAY.format(1))
    assert _installed(state, 1, hourly) == first
    assert _installed(state, 2, hourly) == first, "as an older Maniple told it"
    assert _installed(state, 3, daily) == time_micros(DAY.format(3))
    assert _installed(state, 4, daily, since=first) == first, (
        "as it is told since, also where the folder before is gone"
    )
    assert _installed(State(), 4, daily, since=first) == first
    assert _installed(state, 5, None) == 0
    assert _installed(state, 6, daily) == time_micros(DAY.format(6))


def _answer(minute: int, until: int, *hands: str, verdict: str = "approved") -> Entry:
    statement = {"method": "post.send", "rule": {"pattern": "a*", "until": time_micros(DAY.format(until))}}
    detail: dict[str, object] = {"statement": statement, **({"hands": [*hands]} if hands else {})}
    return _entry("approval", minute, call=4, verdict=verdict, detail=detail)


def test_a_rule_holds_from_its_answer_on_for_the_hands_that_this_names_and_until_it_is_taken_back() -> None:
    def rule(until: int) -> Rule:
        return Rule(method="post.send", pattern="a*", until=time_micros(DAY.format(until)), call=4)

    state = _fold(State(), _entry("call", call=4, method="post.send"), _answer(1, 5, "h-1", "h-2"))
    assert (state.rules, state.open[4].answer) == ({"h-1": (rule(5),), "h-2": (rule(5),)}, "approved")
    _fold(state, _answer(2, 6, "h-1"), _answer(3, 9, verdict="denied"))
    assert state.rules == {"h-1": (rule(5), rule(6)), "h-2": (rule(5),)}
    assert state.open[4].answer == "denied"
    _fold(state, _answer(5, 9, "h-1"))
    assert state.rules["h-1"] == (rule(6), rule(9)), "one that has ended is forgotten"
    gone = {"method": "post.send", "pattern": "a*", "until": time_micros(DAY.format(6)), "call": 4}
    _fold(state, _entry("revoke", detail={"hand": "h-1", "capabilities": [], "rules": [gone]}))
    assert state.rules == {"h-1": (rule(9),), "h-2": (rule(5),)}
    _fold(
        state, _entry("revoke", detail={"hand": "h-2", "capabilities": [], "rules": [{**gone, "until": rule(5).until}]})
    )
    assert state.rules == {"h-1": (rule(9),)}


def _start(run: str, call: int, **more: object) -> Entry:
    detail = {"kind": "task", "name": "a", "hand": "h", **more}
    return _entry("run.start", run=run, call=call, detail=detail)


def test_an_entry_of_work_is_of_the_run_that_it_names() -> None:
    state = _fold(State(), _start("r-1", 4, asked=2), _start("r-2", 6, asked=2), _entry("call", call=4, method="run"))
    assert {run: one.has_work for run, one in state.unfinished.items()} == {"r-1": True, "r-2": False}


def test_a_run_that_has_ended_is_forgotten_with_the_one_that_was_to_begin_instead_and_never_did() -> None:
    entries = [
        _start("r-1", 4), _entry("call", call=4, method="run"), _start("r-2", 6, asked=2, instead="r-1"),
        _entry("run.end", run="r-1"), _entry("run.end", run="r-2"),
    ]  # fmt: skip
    assert [set(_fold(State(), *entries[:count]).unfinished) for count in (4, 5)] == [{"r-1", "r-2"}, set()]


def test_what_is_taken_back_is_held_no_more_and_what_was_given_twice_is_held_once() -> None:
    state = State()
    _installed(state, 1, None)
    both = [{"method": "web.fetch", "allow": ["a"]}, {"method": "web.fetch", "allow": ["b"]}]
    for capabilities in (both[:1], both):
        _fold(state, _entry("grant", detail={"hand": "h-1", "capabilities": capabilities}))
    assert [one.allow for one in state.grants["h-1"]] == [("a",), ("b",)]
    _fold(state, _entry("revoke", detail={"hand": "h-1", "capabilities": both[:1]}))
    assert [one.allow for one in state.grants["h-1"]] == [("b",)]
    assert not authority(state, state.hands["news"]).mentions("web.fetch")


def test_the_operators_wishes_are_what_his_last_word_was() -> None:
    state = State()
    for verdict, wanted, quarantined in (
        ("wanted", {"h-1"}, {}), ("quarantined", {"h-1"}, {"h-1": "it crashed"}), ("released", {"h-1"}, {}),
        ("quarantined", {"h-1"}, {"h-1": "it crashed"}), ("wanted", {"h-1"}, {}), ("unwanted", set(), {}),
        ("backing off", set(), {}),
    ):  # fmt: skip
        _fold(state, _entry("hand.state", verdict=verdict, why="it crashed", detail={"hand": "h-1"}))
        assert (state.wanted, state.quarantined) == (wanted, quarantined)


def test_what_was_decided_of_a_run_is_known_while_it_is() -> None:
    state = _fold(State(), _start("r-1", 4), _entry("decision", run="r-1", verdict="asked"))
    assert state.unfinished["r-1"].decided == "asked"
    _fold(state, _entry("decision", run="r-1", verdict="finish"), _entry("decision", run="r-gone", verdict="restart"))
    assert {run: one.decided for run, one in state.unfinished.items()} == {"r-1": "finish"}


def test_what_runs_are_made_of_is_what_the_last_start_told() -> None:
    told = {"interpreter": "a", "runtime": "b", "wire": "c", "kernel": "d"}
    state = _fold(State(), _entry("kernel.start", detail=told), _start("r-1", 4))
    _fold(state, _entry("kernel.start", detail={**told, "wire": "e"}))
    assert state.made_of == {"interpreter": "a", "runtime": "b", "wire": "e"}
    assert state.unfinished["r-1"].made_of == {"interpreter": "a", "runtime": "b", "wire": "c"}


def test_a_key_that_stands_in_for_another_takes_its_place_and_a_revoked_one_stays_known() -> None:
    def told(name: str, **more: object) -> dict[str, object]:
        key = TrustedKey(name=name, public=name.encode() * 8, hands=("*",), most=(), added=1)
        return {"key": msgspec.to_builtins(replace(key, **more), builtin_types=()), "id": key.id}

    first, second, third = (told(name) for name in ("aaaa", "bbbb", "cccc"))
    state = _fold(State(), *(_entry("key.add", detail=one) for one in (first, second)))
    _fold(state, _entry("key.add", detail={**third, "instead": first["id"]}))
    _fold(state, _entry("key.revoke", detail=told("aaaa", revoked=5)))
    assert [(key.name, key.revoked) for key in state.trust.keys] == [("cccc", None), ("aaaa", 5), ("bbbb", None)]
    assert state.trust.is_own(str(third["id"]))


def test_what_a_call_cost_is_spent_of_all_that_it_was_made_for() -> None:
    def call(number: int, within: int) -> Entry:
        most = {"tokens": 50, "micro_dollars": 5}
        detail = {"most": most, "payers": ["h-1", ""], **({"within": within} if within else {})}
        return _entry("call", call=number, method="models.chat", run="r-1", parent=within, detail=detail)

    state = _fold(State(), _start("r-1", 2), call(4, 0), call(6, 4), call(8, 6))
    detail = {"payers": ["h-1", ""], "within": 6}
    cost = Cost(tokens=7, micro_dollars=1)
    _fold(
        state,
        _entry("end", call=8, run="r-1", method="models.chat", cost=cost, parent=6, detail=detail),
    )
    assert {number: one.inner for number, one in state.open.items()} == {4: (7, 1), 6: (7, 1)}
    assert state.unfinished["r-1"].spent == (7, 1)
    assert state.ledger.by_window("h-1", time_micros(DAY.format(0)))["day"] == {"tokens": 7, "micro_dollars": 1}


def test_what_was_spent_for_a_run_is_known_with_what_others_spent_for_it() -> None:
    def call(number: int, parent: int, run: str, method: str = "a.b") -> Entry:
        return _entry("call", call=number, method=method, run=run, parent=parent)

    def end(number: int, parent: int, run: str, tokens: int = 0) -> Entry:
        cost = Cost(tokens=tokens, micro_dollars=1) if tokens else None
        return _entry("end", call=number, method="a.b", run=run, parent=parent, cost=cost)

    def begun(run: str, work: int, **more: object) -> Entry:
        return _entry("run.start", run=run, call=work, detail={"kind": "task", "name": run, "asked": work - 2, **more})

    state = _fold(
        State(), begun("r-1", 2), call(2, 0, "", "run"),
        call(4, 2, "r-1"), call(6, 4, "r-service"), end(6, 4, "r-service", 10), end(4, 2, "r-1", 1),
        call(8, 2, "r-1"), begun("r-2", 10, asker="r-1", spawner="r-1"), call(10, 8, "r-1", "run"), end(8, 2, "r-1"),
        call(12, 10, "r-2"), end(12, 10, "r-2", 100),
        call(14, 2, "r-1"), begun("r-3", 16, asker="r-1"), call(16, 14, "r-1", "run"), end(14, 2, "r-1"),
        call(18, 16, "r-3"), end(18, 16, "r-3", 1_000),
        call(20, 2, "r-1"), begun("r-4", 22, asker="r-service", spawner="r-service"), call(22, 20, "r-service", "run"),
        call(24, 22, "r-4"), end(24, 22, "r-4", 10_000),
    )  # fmt: skip
    assert {run: one.spent[0] for run, one in state.unfinished.items()} == {
        "r-1": 1, "r-2": 100, "r-3": 1_000, "r-4": 10_000
    }  # fmt: skip
    assert {run: one.spent_in_all for run, one in state.unfinished.items()} == {
        "r-1": (10_111, 4), "r-2": (100, 1), "r-3": (1_000, 1), "r-4": (10_000, 1)
    }  # fmt: skip


def test_a_charge_that_is_corrected_is_corrected_for_all_runs_that_it_counts_for() -> None:
    def begun(run: str, work: int, **more: object) -> Entry:
        return _entry("run.start", run=run, call=work, detail={"kind": "task", "name": run, "asked": work - 2, **more})

    def corrected(back: int, more: int) -> Entry:
        detail = {"payers": [""], "at": 0, "method": "a.b"}
        detail |= {name: {"tokens": one, "micro_dollars": 0} for name, one in (("back", back), ("more", more))}
        return _entry("budget", verdict="corrected", call=8, run="r-2", parent=6, detail=detail)

    call, cost = partial(_entry, "call", method="a.b"), Cost(tokens=10, micro_dollars=0)
    state = _fold(
        State(), begun("r-1", 2), _entry("call", call=2, method="run"), call(call=4, parent=2, run="r-1"),
        begun("r-2", 6, asker="r-1", spawner="r-1"), _entry("call", call=6, parent=4, run="r-1", method="run"),
        call(call=8, parent=6, run="r-2"), _entry("end", call=8, parent=6, run="r-2", method="a.b", cost=cost),
    )  # fmt: skip
    for entry, tokens in ((corrected(3, 0), 7), (corrected(0, 5), 12)):
        _fold(state, entry)
        assert (state.unfinished["r-2"].spent, state.unfinished["r-2"].spent_in_all) == ((tokens, 0), (tokens, 0))
        assert (state.unfinished["r-1"].spent, state.unfinished["r-1"].spent_in_all) == ((0, 0), (tokens, 0))


def test_what_the_operator_said_to_a_call_and_until_when_it_waits_is_known_to_the_next_kernel() -> None:
    state = _fold(
        State(),
        _entry("call", call=2, method="a.b", verdict="held", detail={"until": 9}),
        _entry("call", call=4, method="a.b", verdict="allowed", detail={"is_approved": True}),
        _entry("call", call=6, method="a.b", verdict="allowed", detail={"until": 9}),
    )
    assert {number: (one.answer, one.until) for number, one in state.open.items()} == {
        2: ("held", 9), 4: ("approved", 0), 6: ("", 0),
    }  # fmt: skip
    assert {number: one.was_begun for number, one in state.open.items()} == {2: False, 4: True, 6: True}
    _fold(state, _entry("approval", call=2, verdict="approved", detail={"statement": {}}))
    assert (state.open[2].answer, state.open[2].was_begun) == ("approved", True)
