"""Each way of going round in circles is told, and then ended; what makes progress is left alone."""

import pytest

from runtime.agent.guard import Guard, Made, Seen


def _run(turns: list[list[Made]]) -> list[str]:
    guard, told = Guard(), []
    for turn in turns:
        seen = guard.turn(turn)
        told.append("stop" if seen.stop else "warn" if seen.warn else "")
        if seen.stop:
            break
    return told


def _made(call: str, outcome: str, *, failed: bool = False) -> Made:
    return Made(call=call, outcome=outcome, failed=failed)


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
        assert not guard.turn([_made(f"search {place}", "nothing")]).stop
    guard.steered()
    assert guard.turn([_made("search 10", "nothing")]) == Seen()


def test_a_turn_without_calls_is_none() -> None:
    assert Guard().turn([]) == Seen()
