"""The time that a person takes to answer counts against nothing; what is done meanwhile does."""

import time
from collections.abc import Iterator

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.spread import spread
from tests.system import fates
from tests.system.approving import answer, begin, furnished, none_waits, outcome, waiting, writer
from tests.system.fates import call, entries, entry
from tests.system.test_idle import pass_time
from tests.system.test_pause import COUNTER

THINKING = 50.0
"""Seconds that a person takes: more than any time that something here may take."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """On a clock that tests move, so that a person may think for longer than a busy machine needs for anything."""
    with Kernel(make_home(tmp_path_factory.mktemp("time") / "home"), "tests.system.slow_day") as kernel:
        yield kernel


@pytest.fixture
def kernel(running: Kernel) -> Iterator[Kernel]:
    with furnished(running, writer()) as kernel:
        yield kernel


def test_held_time_counts_against_no_deadline_neither_the_calls_nor_the_runs(kernel: Kernel) -> None:
    install(kernel, writer("hasty", wall="20s"))
    run = begin(kernel, "ann hello", hand="hasty", timeout=15.0)
    held = waiting(kernel)
    pass_time(kernel, THINKING, 0.5)
    answer(kernel, held)
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]


@pytest.mark.parametrize("naps", spread([0.004, 0.1], 1))
def test_a_run_that_goes_on_working_while_a_call_of_its_is_held_has_no_more_time_than_its_wall(
    kernel: Kernel, naps: float
) -> None:
    hasty = writer("hasty", wall="1s")
    install(kernel, Source(hasty.toml.replace("[limits]", "[limits]\ncalls_per_minute = 60000"), hasty.main))
    begun = time.monotonic()
    run = begin(kernel, "ann hello", hand="hasty", reads=True, naps=naps)
    told = fates.table(call(kernel, "kernel.wait", "", {"run": run}, seconds=20))
    assert told["outcome"] == "failed"
    assert "did not end within its time" in str(told["text"])
    assert time.monotonic() - begun > 1
    late = [
        one
        for one in entries(kernel.home, "end")
        if (one.verdict, one.method, one.run) == ("failed", "kernel.sleep", run)
    ]
    assert len(late) < 5, "when its time is over it ends, and does not ask on and on"
    assert none_waits(kernel)


def test_a_run_that_works_now_and_then_while_a_call_of_its_is_held_has_time_for_what_it_does(kernel: Kernel) -> None:
    install(kernel, writer("hasty", wall="20s"))
    run = begin(kernel, "ann hello", hand="hasty", reads=True, naps=10 * THINKING)
    (held,) = waiting(kernel)
    entry(kernel.home, "call", method="kernel.sleep", run=run)  # it has read, and naps
    pass_time(kernel, THINKING, 0.5)
    answer(kernel, [held])
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]


BOTH = Source(
    writer("both", '"post.*" = ["*"]\n"counter.*" = ["*"]', wall="20s").toml.replace("Writer", "Both"),
    """
import asyncio

from runtime import Hand


class Both(Hand):
    async def run(self) -> object:
        sending = asyncio.ensure_future(self.kernel.call("post.send", "ann", text="hello"))
        await asyncio.sleep(0)
        await self.kernel.call("counter.wait")
        return (await sending).value
""",
)


@pytest.mark.wide
@pytest.mark.parametrize("is_over", [False, True])
def test_the_time_of_a_run_whose_call_is_held_passes_exactly_while_another_call_is_open(
    kernel: Kernel, is_over: bool
) -> None:
    install(kernel, COUNTER)
    install(kernel, BOTH)
    run = str(fates.table(call(kernel, "kernel.start", "both"))["run"])
    held = waiting(kernel)
    fates.until(lambda: [row["open"] for row in fates.runs(kernel, "counter")] == [1], "its other call is open")
    if is_over:
        for counted in (kernel.home / "state").glob("*/counted"):
            (counted.parent / "go").touch()
        entry(kernel.home, "end", method="counter.wait", run=run)
    pass_time(kernel, THINKING, 0.5)
    if is_over:
        answer(kernel, held)
    told = fates.table(call(kernel, "kernel.wait", "", {"run": run}, seconds=20))
    assert told["outcome"] == ("done" if is_over else "failed"), told
    assert is_over or "[limits] wall" in str(told["text"])


def test_a_run_that_waits_for_one_whose_call_is_held_waits_as_long(kernel: Kernel) -> None:
    asks = '"kernel.spawn" = { allow = ["*"], approval = false }\n"post.*" = ["*"]\n'
    install(kernel, writer("chief", asks, wall="20s"))
    run = begin(kernel, "ann hello", hand="chief", spawn="writer")
    (held,) = waiting(kernel)
    assert [(one.hand, one.method) for one in held.chain] == [("chief", "run"), ("operator", "run")]
    assert [one.name for one in held.asks] == ["writer", "chief"]
    pass_time(kernel, THINKING, 0.5)
    answer(kernel, [held])
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]
