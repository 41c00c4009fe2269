"""Agents that cannot be lost: a run of 40 steps is killed at every one of them, and comes to the same at the same cost.

Two things are killed with SIGKILL: the run's process, and the kernel. The script holds each answer at its place and needs no
memory; what the log has are the calls that reached the model, and what each was settled at.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kernel.record.recovery import Lines
from tests.living import Kernel, make_home
from tests.spread import spread
from tests.system import chaos, fates, thinking
from tests.system.fates import begin, entries, until
from tests.system.thinking import ask, furnish, notes, script, turns

STEPS = 40
SOME = (1, 13, 26, 39)
"""Steps at which the quick tests kill."""

AGENT = f'steps = {STEPS}\ntokens = "10M"'
EFFECT = "desk.note"


def _turns() -> list[str]:
    """Forty answers: looks, several at once, notes, and the last one."""
    each: list[dict[str, object]] = []
    for place in range(STEPS - 1):
        calls = [ask("desk_look", name=f"d{place}")]
        if place % 3 == 1:
            calls = [ask("desk_look", name=f"d{place}-{one}", seconds=0.01 * one) for one in range(3)]
        elif place % 3 == 2:
            calls = [ask("desk_note", name="book", text=f"line {place}")]
        each.append(
            {"text": f"step {place}", "calls": calls, "usage": {"input": 1000 + place, "output": 10}, "delay": 0.02}
        )
    return turns(*each, {"text": "All forty are done.", "usage": {"input": 9, "output": 9}})


LINES = [f"book: line {place}" for place in range(STEPS - 1) if place % 3 == 2]
TOKENS = sum(1010 + place for place in range(STEPS - 1)) + 18


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    folder = tmp_path_factory.mktemp("agents")
    with Kernel(make_home(folder / "home")) as kernel:
        furnish(kernel)
        thinking.add(kernel, folder, "tidy", agent=AGENT)
        yield kernel


@pytest.fixture
def kernel(furnished: Kernel) -> Kernel:
    with furnished.client() as client:
        script(client, _turns())
    return furnished


def _asked(kernel: Kernel, run: str, method: str = "model.complete") -> int:
    said = [
        f'"{name}":"{value}"'.encode() for name, value in (("kind", "call"), ("principal", run), ("method", method))
    ]
    return sum(
        all(one in line for one in said) for line in Lines(kernel.home / "log")
    )  # looked at often: none is decoded


def _ended(kernel: Kernel, run: str) -> bool:
    return any(one.run == run for one in entries(kernel.home, "run.end"))


def _wait_for(kernel: Kernel, run: str, number: int) -> bool:
    """Wait until the run has asked its model so often; whether it still works."""
    soon = number < 3 or number > STEPS - 3  # it would be missed by who looks more seldom
    until(lambda: _asked(kernel, run) >= number or _ended(kernel, run), f"it has asked {number} times", closely=soon)
    return not _ended(kernel, run)


def _kill_run(kernel: Kernel, run: str) -> None:
    pids = [row["pid"] for row in fates.runs(kernel, "tidy") if row["run"] == run and row["pid"]]
    for pid in pids:
        with suppress(ProcessLookupError):  # its work was done meanwhile
            os.kill(int(str(pid)), signal.SIGKILL)


def _kill_kernel(kernel: Kernel, run: str) -> None:
    kernel.kill()
    kernel.up()


def _left(kernel: Kernel, run: str) -> int:
    """How many processes of a run ended before its work did, and were followed by another."""
    return sum(one.run == run for one in entries(kernel.home, "run.left"))


def _begin(kernel: Kernel) -> tuple[str, int]:
    """A run of the agent, and how many lines earlier ones wrote down."""
    with kernel.client() as client:
        before = len(notes(client))
        return begin(client, "tidy", task="all forty"), before


def check_same(kernel: Kernel, run: str, before: int, *, remade: bool) -> None:
    """Fails unless the run came to what it comes to undisturbed, paid nothing twice, by the log too, and did nothing twice.

    before: lines that earlier runs wrote down. remade: the kernel was killed, so one call that was under way may have been
    made again, or, if it was to write a line, have an outcome that nobody knows, which the agent was told.
    """
    told = chaos.outcome_of(kernel, run)
    assert told["outcome"] == "done", str(told)
    value: Any = told["value"]
    assert (value["answer"], value["steps"]) == ("All forty are done.", STEPS)
    usage = value["usage"]
    assert usage["input"] + usage["output"] == TOKENS
    made = [one for one in entries(kernel.home, "call") if one.principal == run]
    ends = Counter(one.call for one in entries(kernel.home, "end") if one.verdict == "done")
    with kernel.client() as client:
        written = notes(client)[before:]
    unknown = [one for one in made if one.method == EFFECT and not ends[one.call]]
    assert len(unknown) <= remade
    assert Counter(written) <= Counter(LINES)
    assert len(LINES) - len(written) <= len(unknown)
    asked = [one for one in made if one.method == "model.complete"]
    assert sum(ends[one.call] for one in asked) == STEPS
    assert len(asked) - STEPS <= remade
    numbers = {one.call for one in asked}
    settled = [
        one for one in entries(kernel.home, "end") if one.call in numbers and (one.verdict == "done" or not remade)
    ]
    paid = [one.cost for one in settled if one.cost is not None]
    assert sum(one.tokens for one in paid) == TOKENS


@pytest.mark.parametrize("step", spread(SOME, 1))
def test_a_run_that_is_killed_at_a_step_comes_to_the_same(kernel: Kernel, step: int) -> None:
    for _ in range(5):  # one that was done before the kill came is none that was killed: another is
        run, before = _begin(kernel)
        if _wait_for(kernel, run, step):
            _kill_run(kernel, run)
        check_same(kernel, run, before, remade=False)
        if left := _left(kernel, run):
            assert left == 1
            return
    pytest.fail("no kill came before the run was done")


@pytest.mark.parametrize("step", spread(SOME, 1))
def test_a_run_whose_kernel_is_killed_at_a_step_comes_to_the_same(kernel: Kernel, step: int) -> None:
    for _ in range(5):  # as above
        run, before = _begin(kernel)
        if _wait_for(kernel, run, step):
            _kill_kernel(kernel, run)
        check_same(kernel, run, before, remade=True)
        if (processes := [one.run for one in entries(kernel.home, "run.confined")].count(run)) > 1:
            assert processes == 2
            return
    pytest.fail("no kill came before the run was done")


@pytest.mark.wide
def test_a_run_that_is_killed_again_and_again_comes_to_the_same(kernel: Kernel) -> None:
    run, before = _begin(kernel)
    for step in range(2, STEPS, 4):
        if _wait_for(kernel, run, step):
            _kill_run(kernel, run)
    check_same(kernel, run, before, remade=False)
    assert _left(kernel, run) > 2


@pytest.mark.soak
@pytest.mark.parametrize("kill", [_kill_run, _kill_kernel], ids=["run", "kernel"])
def test_at_every_step(kernel: Kernel, kill: Any) -> None:
    for step in range(1, STEPS + 1):
        run, before = _begin(kernel)
        if _wait_for(kernel, run, step):
            time.sleep(0.002 * (step % 9))
            kill(kernel, run)
        check_same(kernel, run, before, remade=kill is _kill_kernel)
        print(step, run, "as it must", flush=True)
    kernel.down()
    assert fates.verified(kernel.home).size == len(entries(kernel.home))
    kernel.up()


@pytest.mark.wide
def test_an_answer_with_a_most_that_was_lost_with_the_kernel_is_asked_for_again(kernel: Kernel, tmp_path: Path) -> None:
    thinking.add(kernel, tmp_path, "thrifty", agent='dollars = "0.50"')
    with kernel.client() as client:
        script(client, turns({"calls": [ask("desk_look", name="left")]}, {"text": "done", "delay": 3}))
        run = begin(client, "thrifty", task="look")
    until(lambda: _asked(kernel, run) == 2, "its second answer is under way")
    kernel.kill()
    kernel.up()
    told = chaos.outcome_of(kernel, run)
    assert told["outcome"] == "done", str(told)
    assert _asked(kernel, run) == 3
    notes_of = [one.why for one in entries(kernel.home, "note") if one.run == run]
    assert any(why.startswith("mended: an answer of the model was lost") for why in notes_of)
