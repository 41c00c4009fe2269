"""Each way of going round in circles is told, and then ended; what makes progress is left alone."""

import pytest
from msgspec.structs import replace

from runtime.agent.guard import Guard, MadeCall, Verdict, comparable
from runtime.agent.marks import Marks
from runtime.models.messages import Image, Message, Text, ToolCall, ToolResult


def _run(turns: list[list[MadeCall]], *acting: str) -> list[str]:
    guard, told = Guard(acting), []
    for turn in turns:
        seen = guard.count_turn(turn)
        told.append("stop" if seen.end else "warn" if seen.warning else "")
        if seen.end:
            break
    return told


def _made(call: str, outcome: str, *, failed: bool = False) -> MadeCall:
    return MadeCall(call=call, outcome=outcome, failed=failed)


def test_the_same_call_with_the_same_outcome() -> None:
    assert _run([[_made("a", "x")]] * 9) == ["", "", "warn", "warn", "warn", "stop"]


def test_the_same_call_counts_over_turns_that_do_something_else_between() -> None:
    turns = [[_made("a", "x")] if place % 3 == 0 else [_made(f"b{place}", f"y{place}")] for place in range(30)]
    assert _run(turns)[:7] == ["", "", "", "", "", "", "warn"]
    assert _run(turns)[-1] == "stop"


def test_a_call_that_waits_for_something_and_sees_it_move_is_left_alone() -> None:
    assert set(_run([[_made("poll", f"{place} of 100")] for place in range(100)])) == {""}


@pytest.mark.parametrize("length", [2, 3, 4])
def test_the_same_turns_one_after_the_other_whatever_comes_of_them(length: int) -> None:
    turns = [[_made(f"step {place % length}", f"count {place}")] for place in range(60)]
    told = _run(turns)
    assert told.index("warn") == 4 * length - 1
    assert told.index("stop") == 8 * length - 1


def test_turns_that_bring_nothing_new() -> None:
    turns = [[_made(f"search {place}", "nothing found")] for place in range(20)]
    assert _run(turns) == ["", "", "", "", "", "warn", "warn", "warn", "warn", "warn", "stop"]


def test_who_does_something_else_each_time_moves_on_though_it_always_comes_to_the_same() -> None:
    moves = [[_made(f"move {place}", "moved")] for place in range(30)]
    assert set(_run(moves, "move")) == {""}
    assert _run([[replace(one, failed=True) for one in turn] for turn in moves], "move")[-1] == "stop"
    assert _run(moves[:1] * 9, "move") == ["", "", "warn", "warn", "warn", "stop"]


def test_the_same_check_after_each_change_is_no_circle() -> None:
    turns = [[_made(f"edit {at}", f"edited {at}")] if at % 2 else [_made("check", "in order")] for at in range(40)]
    assert set(_run(turns, "edit")) == {""}
    assert _run(turns)[-1] == "stop", "what changes nothing is no reason to look again"


def test_turns_that_only_fail_each_in_its_own_way() -> None:
    turns = [[_made(f"try {place}", f"error {place}", failed=True)] for place in range(20)]
    assert _run(turns).index("warn") == 4
    assert _run(turns)[-1] == "stop"


def test_work_that_moves_on_is_left_alone() -> None:
    turns = [[_made(f"read {place}", f"page {place}"), _made("note", f"count {place}")] for place in range(500)]
    assert set(_run(turns)) == {""}


def test_what_a_person_says_begins_the_counts_of_turns_anew() -> None:
    guard = Guard()
    for place in range(9):
        assert not guard.count_turn([_made(f"search {place}", "nothing")]).end
    guard.restart_turns()
    assert guard.count_turn([_made("search 10", "nothing")]) == Verdict()


def test_what_a_person_asks_for_again_and_again_is_looked_at_each_time() -> None:
    guard = Guard()
    for _ in range(9):
        assert not guard.count_turn([_made("look", "nothing")]).end
        guard.restart_turns()
    assert [bool(guard.count_turn([_made("look", "nothing")]).end) for _ in range(4)] == [False, False, False, True]


def test_rounds_of_before_a_person_spoke_do_not_count() -> None:
    guard = Guard()
    for place in range(7 * 2):
        guard.count_turn([_made(f"step {place % 2}", f"count {place}")])
    guard.restart_turns()
    assert [guard.count_turn([_made(f"step {place}", f"more {place}")]) for place in range(2)] == [Verdict()] * 2


def test_a_turns_calls_are_the_same_in_any_order_and_one_that_stands_twice_counts_once() -> None:
    assert _run([[_made("a", "x"), _made("a", "x")]] * 3) == ["", "", "warn"]
    turns = [[_made(f"{name} {at % 2}", f"{name} {at}") for name in ("ab" if at % 4 < 2 else "ba")] for at in range(9)]
    assert _run(turns)[:8] == [""] * 7 + ["warn"]


def test_what_is_told_of_a_call_is_its_name() -> None:
    guard = Guard()
    told = [guard.count_turn([_made("look " + "x" * 5_000, "y")]) for _ in range(6)]
    assert "`look` was called 3 times" in told[2].warning
    assert len(told[5].end) < 250


def test_of_a_call_whose_name_is_blank_no_argument_is_told() -> None:
    call = ToolCall(id="1", name=" ", arguments={"q": "obey"})
    made = comparable(call, ToolResult(id="1", content=(Text(text="nothing"),)))
    guard = Guard()
    assert "obey" not in [guard.count_turn([made]) for _ in range(3)][-1].warning


def _of(arguments: dict[str, object], *content: Text | Image, malformed: str = "", failed: bool = False) -> MadeCall:
    call = ToolCall(id="1", name="look", arguments=arguments, malformed=malformed)
    return comparable(call, ToolResult(id="1", content=content, failed=failed))


def test_two_calls_are_the_same_by_what_was_asked_and_what_was_seen() -> None:
    text = Text(text="a page")
    one = _of({"a": 1, "b": 2}, text)
    assert one == _of({"b": 2, "a": 1}, text)
    assert one.call != _of({"a": 1, "b": 3}, text).call
    assert _of({}, malformed="{").call != _of({}, malformed="[").call
    assert _of({}, failed=True).failed
    first, second = (Text(text=Marks(bound * 32).mark("a page", "web.fetch")) for bound in "ab")
    assert _of({}, first).outcome == _of({}, second).outcome == _of({}, text).outcome, "whatever its boundary is"
    cuts = (
        Text(text=f'a page\n[characters 0 to 6 of 9; read on with read_result(id="r{at}", start=6)]') for at in "12"
    )
    assert len({_of({}, cut).outcome for cut in cuts}) == 1, "wherever it is kept"
    pictures = [Image(media="image/png", content=content) for content in (b"one", b"two")]
    assert len({_of({}, text, *shown).outcome for shown in ((), pictures, pictures[:1], pictures[1:])}) == 4


def test_an_earlier_conversation_counts_but_for_what_it_was_about_last() -> None:
    def turns(number: int, name: str) -> list[Message]:
        call, result = ToolCall(id="", name=name), ToolResult(id="", content=(Text(text="nothing"),))
        return [Message(role=role, parts=(part,)) for role, part in (("assistant", call), ("user", result))] * number  # type: ignore[arg-type]  # a pair's first is a role

    guard = Guard()
    guard.count_session([*turns(2, "look"), *(message for at in range(5) for message in turns(1, f"search {at}"))])
    assert guard.count_turn([_made("another", "nothing")]) == Verdict(), (
        "what was stale before a new task is not held against it"
    )
    assert "called 3 times" in guard.count_turn([_of({}, Text(text="nothing"))]).warning


def test_a_turn_without_calls_is_none() -> None:
    assert Guard().count_turn([]) == Verdict()
