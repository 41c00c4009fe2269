"""Pipelines that cannot be lost: whatever is killed, and when, what comes of one is what would have come of it anyway.

A killer from outside ends real processes in the middle of fan-out, waits for a next try, timeouts, pipelines below and undo:
the pipeline's own process, those of its steps, the template, the kernel; or the kernel goes down and up. No run of a step
begins twice: the log says so, and so does the ledger, which is told a key that each run draws from its own seed.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from kernel.cli.exits import NotDone
from tests.living import Kernel, make_home
from tests.spread import spread
from tests.system import chaos, fates
from tests.system.fates import begin, entries, until
from tests.system.piped import add, furnish, ledger, live

VICTIMS = ("pipeline", "step", "template", "kernel", "down")
DEATHS = 2
"""Processes that a run may lose without coming any further and still goes on."""

INNER = """
[inputs]
word = "string"
book = "string"
[steps.one]
hand = "worker"
with = { on = "book/${inputs.book}", text = "inner ${inputs.word}", seconds = 0.2 }
[outputs]
text = "${steps.one.text}"
"""

WHOLE = """
[inputs]
fails = "bool"
book = "string"
[steps.each]
hand = "worker"
for_each = ["a", "b", "c", "d"]
parallel = 3
with = { on = "book/${inputs.book}", text = "each ${item}", seconds = 0.3 }
undo = { hand = "worker", with = { on = "book/${inputs.book}", text = "not each ${item}", seconds = 0.2 } }
[steps.flaky]
hand = "worker"
with = { on = "book/${inputs.book}", text = "flaky", fail = 2 }
retry = { times = 2, backoff = "400ms", on = ["flaky"] }
[steps.flaky.undo]
hand = "worker"
with = { on = "book/${inputs.book}", text = "not flaky ${output.count}", fail = 1 }
retry = { times = 1, backoff = "300ms" }
[steps.slow]
hand = "worker"
with = { on = "book/slow", seconds = 600 }
timeout = "800ms"
retry = { times = 1, backoff = "100ms", on = ["deadline"] }
on_failure = "skip"
[steps.below]
pipeline = "inner"
with = { word = "${steps.each[0].text}", book = "${inputs.book}" }
undo = { hand = "worker", with = { on = "book/${inputs.book}", text = "not ${output.text}" } }
[steps.last]
hand = "worker"
needs = ["below", "flaky", "slow"]
with = { on = "book/${inputs.book}", text = "last", fail = "${9 if inputs.fails else 0}" }
[finally.end]
hand = "worker"
with = { on = "book/${inputs.book}", text = "it is ${outcome}", seconds = 0.2 }
[outputs]
each = "${len(steps.each)}"
flaky = "${steps.flaky.count}"
slow = "${steps.slow}"
below = "${steps.below.text}"
"""

DONE = {"each": 4, "flaky": 3, "slow": None, "below": "inner each a"}
UNDONE = ["below", "each[0]", "each[1]", "each[2]", "each[3]", "flaky"]
LINES = Counter([*(f"each {item}" for item in "abcd"), *["flaky"] * 3, "inner each a", "last"])
"""What the steps write into the ledger; but for the slow one, which may be given up before it does."""

UNDOES = Counter([*(f"not each {item}" for item in "abcd"), *["not flaky 3"] * 2, "not inner each a", "it is failed"])
RUNS = {False: 13, True: 20}
"""How many runs there are of workers and of the inner pipeline, by whether it fails."""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        furnish(kernel)
        add(kernel, "inner", INNER)
        add(kernel, "whole", WHOLE)
        yield kernel


class Killer:
    """Ends what is chosen. It ends no run a third time that has come no further, which is the end of any run."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._deaths: Counter[tuple[str, int]] = Counter()

    def kill(self, victim: str, *pipelines: str) -> bool:
        """End the processes of one kind; whether there were any to end. pipelines: which, if not those of this file."""
        if victim in ("kernel", "down"):
            self._kernel.kill() if victim == "kernel" else self._kernel.down()
            self._kernel.up()
            self._deaths.clear()
            return True
        pipelines = pipelines or ("whole", "inner")
        hands = {"pipeline": pipelines, "step": ("worker",)}.get(victim, (*pipelines, "worker"))
        marks = self._marks(hands)
        pids = [int(str(row["pid"])) for hand in hands for row in fates.runs(self._kernel, hand) if row["pid"]]
        if not pids or any(self._deaths[mark] >= DEATHS for mark in marks):
            return False
        self._deaths.update(marks)
        for pid in fates.children(self._kernel.pid) if victim == "template" else pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return True

    def _marks(self, hands: Collection[str]) -> list[tuple[str, int]]:
        """The runs of these Hands that have not ended, and how far each has come."""
        log = entries(self._kernel.home, "run.start", "run.end", "call", "end")
        far = Counter(one.principal for one in log if one.kind in ("call", "end") and one.method != "run")
        begun = {one.run for one in log if one.kind == "run.start" and one.detail["name"] in hands}
        return [(run, far[run]) for run in begun - {one.run for one in log if one.kind == "run.end"}]


def work_of(kernel: Kernel, run: str) -> list[str]:
    """Each run that was begun for a pipeline's run, or below it, by the entries of their work."""
    starts = {one.call: one.run for one in entries(kernel.home, "run.start")}
    works = [(one.principal, starts[one.call]) for one in entries(kernel.home, "call") if one.method == "run"]
    found, left = list[str](), [run]
    while left:
        below = [made for by, made in works if by == left[0]]
        found, left = found + below, left[1:] + below
    return found


def check_right(kernel: Kernel, run: str, book: str, *, fails: bool) -> None:
    """Fails unless a run of the pipeline came to what it comes to undisturbed, and no run of a step began twice."""
    try:
        told = chaos.outcome_of(kernel, run)
    except NotDone:  # the kernel under which it ended was killed before anybody had asked
        told = told_by_log(kernel, run)
    with kernel.client() as client:
        lines = [line.partition(" ")[2] for line in ledger(client) if line.startswith(f"book/{book} ")]
        until(lambda: live(client) == [], "all runs are gone")
    if "value" not in told:
        assert told["outcome"] == ("failed" if fails else "done")
    elif fails:
        value: Any = told["value"]
        assert (told["outcome"], told["code"], value["step"], value["left"]) == ("failed", "flaky", "last", []), str(
            told
        )
        assert sorted(value["undone"]) == UNDONE
    else:
        assert (told["outcome"], told["value"]) == ("done", DONE), str(told)
    assert Counter(lines) == LINES + (UNDOES if fails else Counter(["it is done"]))
    assert len(work_of(kernel, run)) == len(set(work_of(kernel, run))) == RUNS[fails]


def told_by_log(kernel: Kernel, run: str) -> dict[str, object]:
    """How a run's work ended; what it returned is not in the log."""
    work = next(one.call for one in entries(kernel.home, "run.start") if one.run == run)
    return {"outcome": next(one.verdict for one in entries(kernel.home, "end") if one.call == work)}


def has_ended(kernel: Kernel, run: str) -> bool:
    return any(one.run == run for one in entries(kernel.home, "run.end"))


def begin_whole(kernel: Kernel, book: str, *, fails: bool) -> str:
    return begin_named(kernel, "whole", fails=fails, book=book)


def begin_named(kernel: Kernel, name: str, **inputs: object) -> str:
    with kernel.client() as client:
        return begin(client, name, **inputs)


@pytest.mark.wide
@pytest.mark.parametrize("fails", [False, True], ids=["that is done", "that fails"])
def test_undisturbed_a_pipeline(kernel: Kernel, fails: bool) -> None:
    check_right(kernel, begin_whole(kernel, "a", fails=fails), "a", fails=fails)
    assert entries(kernel.home, "run.left") == []


@pytest.mark.parametrize("victim", spread(VICTIMS, 1))
def test_a_killer_at_any_moment_changes_nothing_about_what_comes_of_a_pipeline(kernel: Kernel, victim: str) -> None:
    chance, killer, kills, turns = random.Random(f"seed {victim}"), Killer(kernel), 0, count()
    fails = victim in ("pipeline", "kernel")
    while kills < 4:
        book = f"b{next(turns)}"
        run = begin_whole(kernel, book, fails=fails)
        while kills < 4 and not has_ended(kernel, run):
            time.sleep(chance.uniform(0.0, 0.9))
            kills += killer.kill(victim)
        check_right(kernel, run, book, fails=fails)
    kernel.down()
    assert fates.verified(kernel.home).size == len(entries(kernel.home))


@pytest.mark.wide
def test_a_step_whose_run_cannot_go_on_has_failed_as_one_that_ended(kernel: Kernel) -> None:
    add(kernel, "two", """
[steps.each]
hand = "worker"
for_each = ["a", "b"]
parallel = 2
with = { text = "${item}", seconds = 2 }
undo = { hand = "worker", with = { text = "not ${item}" } }
""")  # fmt: skip
    with kernel.client() as client:
        run = begin(client, "two")
        until(lambda: len(ledger(client)) == 2, "both have begun")
    lost = next(one.run for one in entries(kernel.home, "run.start") if one.detail["name"] == "worker")
    kernel.kill()
    (kernel.home / "journal" / "runs" / f"{lost}.tape").unlink()
    kernel.up()
    told = chaos.outcome_of(kernel, run)
    assert (told["outcome"], told["code"]) == ("failed", "ended"), str(told)
    assert "the kernel ended before it" in str(told["text"])
    with kernel.client() as client:
        assert len(ledger(client)) == 3


@pytest.mark.soak
def test_hundreds_of_kills_change_nothing_about_pipelines(kernel: Kernel) -> None:
    chance, killer, kills, turns = random.Random(7), Killer(kernel), 0, count()
    while kills < 400:
        fails, book = chance.random() < 0.5, f"b{next(turns)}"
        run = begin_whole(kernel, book, fails=fails)
        for _ in range(chance.randrange(1, 9)):
            time.sleep(chance.expovariate(3))
            kills += not has_ended(kernel, run) and killer.kill(chance.choice(VICTIMS))
        check_right(kernel, run, book, fails=fails)
        print(kills, run, "failed as it must" if fails else "done", flush=True)
    kernel.down()
    assert fates.verified(kernel.home).size == len(entries(kernel.home))


@pytest.mark.wide
def test_a_pipeline_that_dies_just_after_it_asked_for_a_run_gets_that_run(kernel: Kernel) -> None:
    text = "".join(f'[steps.s{number}]\nhand = "worker"\nwith = {{ text = "{number}" }}\n' for number in range(8))
    add(kernel, "many", text)
    chance = random.Random(3)
    for number in range(1, 9):
        with kernel.client() as client:
            run = begin(client, "many")
            pids = until(
                lambda run=run: [row["pid"] for row in fates.runs(kernel, "many") if row["run"] == run and row["pid"]],  # type: ignore[misc]
                "it is there",
            )
            until(lambda run=run: any(one.principal == run for one in entries(kernel.home, "call")), "it asks")  # type: ignore[misc]
            time.sleep(chance.uniform(0.0, 0.02))
            os.kill(int(str(pids[0])), signal.SIGKILL)
            assert chaos.outcome_of(kernel, run)["outcome"] == "done"
            assert len(ledger(client)) == 8 * number


@pytest.mark.wide
def test_a_step_that_waits_for_a_service_when_the_kernel_goes_down_is_not_told_of_that(kernel: Kernel) -> None:
    waits_while_the_kernel_goes_down(kernel, times=2)


@pytest.mark.soak
def test_steps_that_wait_for_a_service_when_the_kernel_goes_down_are_not_told_of_that(kernel: Kernel) -> None:
    waits_while_the_kernel_goes_down(kernel, times=20)


def waits_while_the_kernel_goes_down(kernel: Kernel, times: int) -> None:
    killer = Killer(kernel)
    for number in range(times):
        book = f"d{number}"
        run = begin_whole(kernel, book, fails=False)
        until(lambda book=book: so_far(kernel, book), "a first line")  # type: ignore[misc]
        killer.kill("template")
        time.sleep(0.03 * (number % 4))
        killer.kill("down")
        check_right(kernel, run, book, fails=False)


def so_far(kernel: Kernel, book: str) -> list[str]:
    with kernel.client() as client:
        return [line for line in ledger(client) if line.startswith(f"book/{book} ")]
