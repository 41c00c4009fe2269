"""Pipelines while everything is killed and the operator is asked: what comes of one is what comes of it undisturbed.

Beside test_pipelines_killed.py, whose killer it uses: here steps wait for approvals, an operator answers them meanwhile, and
what is killed is also the provider that the steps call. Then providers that cost more than they may, or die of each call.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Self

import pytest

from kernel.cli import answering
from kernel.cli.exits import Ended
from tests.living import Kernel, Source, install, make_home, seal_key
from tests.spread import spread
from tests.system import chaos, costly, fates
from tests.system.approving import none_waits, waiting
from tests.system.fates import entries, state_of, until
from tests.system.piped import add, furnish, ledger
from tests.system.test_pipelines_killed import Killer, begin_named, has_ended, told_by_log, work_of
from wire.errors import ManipleError

VICTIMS = ("pipeline", "step", "provider", "template", "kernel", "down")

ASKS = """
[inputs]
book = "string"
[steps.each]
hand = "worker"
for_each = ["a", "b", "c", "d", "e", "f", "g"]
parallel = 7
with = { on = "book/${inputs.book}", text = "each ${item}", seconds = 0.2 }
approval = "${item} goes out"
undo = { hand = "worker", with = { on = "book/${inputs.book}", text = "not each ${item}" } }
[steps.flaky]
hand = "worker"
with = { on = "book/${inputs.book}", text = "flaky", fail = 2 }
approval = true
retry = { times = 2, backoff = "300ms", on = ["flaky"] }
undo = { hand = "worker", with = { on = "book/${inputs.book}", text = "not flaky" } }
[steps.last]
hand = "worker"
needs = ["each", "flaky"]
with = { on = "book/${inputs.book}", text = "last" }
approval = "the last one"
[finally.end]
hand = "worker"
with = { on = "book/${inputs.book}", text = "it is ${outcome}" }
[outputs]
each = "${len(steps.each)}"
flaky = "${steps.flaky.count}"
"""
EACH = Counter(f"each {item}" for item in "abcdefg")
DONE = EACH + Counter({"flaky": 3, "last": 1, "it is done": 1})
DENIED = (
    EACH + Counter(f"not each {item}" for item in "abcdefg") + Counter({"flaky": 3, "not flaky": 1, "it is failed": 1})
)
RUNS = {False: 12, True: 19}
"""How many runs of workers there are, by whether the last step is denied."""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        furnish(kernel)
        add(kernel, "asks", ASKS)
        yield kernel


class Operator:
    """Answers what waits, one after the other, while the kernel comes and goes. denies: the last step."""

    def __init__(self, kernel: Kernel, chance: random.Random, *, denies: bool) -> None:
        self._kernel, self._chance, self._denies = kernel, chance, denies
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(fates.PATIENCE)

    def _work(self) -> None:
        key = seal_key(self._kernel.home)
        while not self._is_over.wait(self._chance.uniform(0.0, 0.15)):
            try:
                with self._kernel.client() as client:
                    for one in answering.fetch_held(client)[:1]:
                        is_last = "the last one" in one.asks[0].why
                        verdict = "denied" if self._denies and is_last else "approved"
                        answering.answer(client, key, [one.call], verdict)
            except (Ended, ManipleError, OSError):
                continue  # the kernel is gone, or somebody took it back


def kill(kernel: Kernel, killer: Killer, victim: str) -> bool:
    """End what is chosen; of the provider never what it has not come back from, since two deaths make a call poison."""
    if victim != "provider":
        return killer.kill(victim, "asks")
    pids = [int(str(row["pid"])) for row in fates.runs(kernel, "ledger") if row["pid"]]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    with kernel.client() as client:
        ledger(client)
    return bool(pids)


def check_right(kernel: Kernel, run: str, book: str, *, denies: bool) -> None:
    """Fails unless a run came to its end, each line was written once, and no run began before the answer it needs."""
    try:
        told: Any = chaos.outcome_of(kernel, run)
    except Ended:  # the kernel under which it ended was killed before anybody had asked
        told = told_by_log(kernel, run)
    with kernel.client() as client:
        lines = Counter(line.partition(" ")[2] for line in ledger(client) if line.startswith(f"book/{book} "))
    assert lines == (DENIED if denies else DONE), str(told)
    assert told["outcome"] == ("failed" if denies else "done"), str(told)
    if "value" in told and not denies:
        assert told["value"] == {"each": 7, "flaky": 3}
    assert told.get("code", "denied" if denies else "") == ("denied" if denies else "")
    assert len(set(work_of(kernel, run))) == RUNS[denies]
    asked = {one.call for one in entries(kernel.home, "call") if one.verdict == "held" and one.run == run}
    answers = {one.call: one for one in entries(kernel.home, "approval") if one.call in asked}
    assert len(asked) == len(answers) == 9
    for start in entries(kernel.home, "run.start"):
        if start.detail.get("asked") in asked:
            answer = answers[int(str(start.detail["asked"]))]
            assert (answer.verdict, answer.seq < start.seq) == ("approved", True)


def through(kernel: Kernel, chance: random.Random, kills: int, *, denies: bool) -> None:
    """So many kills in the middle of runs of the pipeline, each of which must come to its end."""
    killer, done = Killer(kernel), 0
    while done < kills:
        book = f"b{done}"
        run = begin_named(kernel, "asks", book=book)
        with Operator(kernel, random.Random(chance.random()), denies=denies):
            while done < kills and not has_ended(kernel, run):
                time.sleep(chance.uniform(0.0, 0.8))
                done += kill(kernel, killer, chance.choice(VICTIMS))
            until(lambda run=run: has_ended(kernel, run), "it ends", 60)  # type: ignore[misc]
        check_right(kernel, run, book, denies=denies)
        print(done, run, "denied" if denies else "done", flush=True)
    kernel.down()
    assert fates.verified(kernel.home).size == len(entries(kernel.home))


@pytest.mark.wide
@pytest.mark.parametrize("denies", spread([False, True], 1), ids=["approved", "denied"])
def test_killed_while_its_steps_ask_a_pipeline_comes_to_its_end(kernel: Kernel, *, denies: bool) -> None:
    through(kernel, random.Random(f"asks {denies}"), 3, denies=denies)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
def test_hundreds_of_kills_while_its_steps_ask(kernel: Kernel, seed: int) -> None:
    through(kernel, random.Random(f"soak {seed}"), 150, denies=bool(seed % 2))


TAKEN = """
[inputs]
book = "string"
[steps.each]
hand = "worker"
for_each = ["a", "b"]
parallel = 2
with = { on = "book/${inputs.book}", text = "${item}", seconds = 0.2 }
approval = true
undo = { hand = "worker", with = { on = "book/${inputs.book}", text = "not ${item}" } }
[steps.other]
hand = "worker"
with = { on = "book/${inputs.book}", text = "other", seconds = 0.6, fail = 9 }
"""


def taken_back(kernel: Kernel, chance: random.Random, times: int) -> None:
    """A step fails while others ask, of which one may be answered at that very moment, and something is killed."""
    add(kernel, "taken", TAKEN)
    for number in range(times):
        book = f"t{number}"
        run = begin_named(kernel, "taken", book=book)
        waiting(kernel, 2)
        time.sleep(chance.uniform(0.3, 0.7))
        with Operator(kernel, chance, denies=False) if chance.random() < 0.5 else nullcontext():
            Killer(kernel).kill(chance.choice(["pipeline", "template", "kernel", "down"]), "taken")
            until(lambda run=run: has_ended(kernel, run), "it ends", 60)  # type: ignore[misc]
        with kernel.client() as client:
            lines = Counter(line.partition(" ")[2] for line in ledger(client) if line.startswith(f"book/{book} "))
        assert lines.pop("other") == 1
        done = {line for line in lines if not line.startswith("not ")}
        assert lines == Counter([*done, *(f"not {line}" for line in done)])
        assert none_waits(kernel)


@pytest.mark.wide
def test_killed_while_what_it_asks_is_taken_back_a_pipeline_leaves_nothing(kernel: Kernel) -> None:
    taken_back(kernel, random.Random("taken"), 1)


@pytest.mark.soak
def test_hundreds_of_kills_while_what_it_asks_is_taken_back(kernel: Kernel) -> None:
    taken_back(kernel, random.Random("taken in soak"), 200)


CRASHING = Source(
    """
[hand]
name = "crashing"
version = "1.0.0"
description = "Dies of each call."
entry = "main:Crashing"
kind = "service"
autonomy = "full"

[provides."crashing.do"]
summary = "Die"
resource = "none"
effect = "read"

[restart]
when = "always"
times = 1000
within = "1m"
""",
    """
import os
from runtime import Call, Hand


class Crashing(Hand):
    async def do(self, call: Call) -> object:
        os._exit(9)
""",
)
CALLER = Source(
    """
[hand]
name = "caller"
version = "1.0.0"
description = "Calls what dies."
entry = "main:Caller"
kind = "task"
autonomy = "full"

[capabilities]
"crashing.do" = ["*"]
""",
    """
from runtime import Hand


class Caller(Hand):
    async def run(self) -> None:
        await self.kernel.call("crashing.do")
""",
)


@pytest.mark.wide
def test_a_step_whose_provider_dies_of_each_call_fails_and_the_others_are_undone(kernel: Kernel) -> None:
    install(kernel, CRASHING)
    install(kernel, CALLER)
    add(kernel, "poisoned", """
[steps.first]
hand = "worker"
with = { text = "first" }
undo = { hand = "worker", with = { text = "not first" } }
[steps.second]
hand = "caller"
needs = ["first"]
retry = { times = 1, backoff = "100ms" }
""")  # fmt: skip
    told: Any = chaos.outcome_of(kernel, begin_named(kernel, "poisoned"))
    assert (told["outcome"], told["code"]) == ("failed", "raised"), told
    assert "crashing.do was open at two crashes of crashing" in told["text"]
    assert told["value"]["undone"] == ["first"]
    assert [one.verdict for one in entries(kernel.home, "end") if one.method == "crashing.do"] == ["failed"] * 2
    with kernel.client() as client:
        assert [line.partition(" ")[2] for line in ledger(client)] == ["first", "not first"]


@pytest.mark.wide
def test_a_provider_that_costs_more_than_it_may_is_called_no_more_and_nothing_is_paid_twice(kernel: Kernel) -> None:
    install(kernel, costly.COSTLY_TWO)
    install(kernel, costly.COSTLY)
    install(kernel, costly.ASKER)
    add(kernel, "spending", """
[steps.each]
hand = "asker"
for_each = [9, 9]
with = { calls = [{ tokens = "${item}", at_most = 10 }] }
[steps.rest]
hand = "worker"
needs = ["each"]
with = { seconds = 1 }
[steps.over]
hand = "asker"
needs = ["rest"]
with = { calls = [{ tokens = 30, at_most = 10 }] }
[steps.more]
hand = "asker"
needs = ["over"]
with = { calls = [{ tokens = 1, at_most = 10 }] }
[outputs]
each = "${steps.each}"
over = "${steps.over.said}"
more = "${steps.more.said}"
""")  # fmt: skip
    run = begin_named(kernel, "spending")
    with kernel.client() as client:
        until(lambda: ledger(client), "two have been paid")
    kernel.kill()
    kernel.up()
    value: Any = chaos.value(kernel, run)
    assert [one["said"] for one in value["each"]] == [["done"]] * 2
    assert (value["over"], value["more"][0].partition(":")[0]) == (["done"], "quarantined")
    assert state_of(kernel, "costly") == "quarantined"
    assert costly.counted(kernel.home) == costly.in_log(kernel.home) == costly.spent(kernel) == 48
