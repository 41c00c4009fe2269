"""The end of a run: heard whole also by who asks late, and in the log as of its starter, even if that has ended before."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.system.fates import begin, call, entries, entry, outcome, runs, table, until
from tests.system.recordings import replay
from wire.results import LARGE_KEPT

_BULK: Final = Source(
    """
[hand]
name = "bulk"
version = "1.0.0"
description = "Returns as much as a run can, and at once."
entry = "main:Bulk"
kind = "task"
autonomy = "full"
""",
    """
from runtime import Hand


class Bulk(Hand):
    async def run(self, mark):
        return mark * 1_000_000
""",
)


_DOOMED: Final = Source(
    """
[hand]
name = "doomed"
version = "1.0.0"
description = "Loses each of its processes, as if its link were cut."
entry = "main:Doomed"
kind = "task"
autonomy = "full"
""",
    """
import os
from runtime import Hand


class Doomed(Hand):
    async def run(self):
        os._exit(75)
""",
)

_PATRON: Final = Source(
    """
[hand]
name = "patron"
version = "1.0.0"
description = "Keeps a run at work, for nobody."
entry = "main:Patron"
kind = "service"
autonomy = "full"

[capabilities]
"kernel.spawn" = ["starter"]
""",
    """
from runtime import Hand


class Patron(Hand):
    async def start(self):
        self.in_background(self.keep())

    async def keep(self):
        await self.kernel.spawn("starter", {"left": 0})
""",
)

_STARTER: Final = Source(
    """
[hand]
name = "starter"
version = "1.0.0"
description = "Begins runs that outlive it."
entry = "main:Starter"
kind = "task"
autonomy = "full"

[capabilities]
"kernel.spawn" = ["starter"]
""",
    """
from runtime import Hand


class Starter(Hand):
    async def run(self, left: int) -> list[str]:
        if not left:
            await self.sleep(3600)
        more = {"inputs": {"left": 0}, "detached": True}
        return [(await self.kernel.call("kernel.spawn", "starter", more)).value["run"] for _ in range(left)]
""",
)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("bulk") / "home")) as kernel:
        install(kernel, _BULK)
        yield kernel


@pytest.mark.wide
def test_who_waits_when_a_run_has_ended_hears_all_that_it_returned_from_its_tape(kernel: Kernel) -> None:
    with kernel.client() as client:
        begun = []
        for _ in range(LARGE_KEPT // 1_000_000 + 2):
            told = client.call("kernel.start", "bulk", {"inputs": {"mark": "x"}}, labels=("web",)).value
            begun.append(str(table(told)["run"]))
        until(lambda: not runs(kernel, "bulk"), "all have ended")
        for run in (begun[0], begun[0], begun[-1]):
            reply = client.call("kernel.wait", "", {"run": run}, seconds=60)
            said = table(reply.value)
            assert (said["outcome"], said["text"], len(str(said["value"]))) == ("done", "", 1_000_000)
            assert reply.labels == ("web",)


def test_a_run_whose_processes_die_three_times_without_progress_ends_and_says_so(kernel: Kernel) -> None:
    install(kernel, _DOOMED)
    with kernel.client() as client:
        run = begin(client, "doomed")
    assert entry(kernel.home, "run.end", run=run).why == ("it died 3 times without progress, last: exit code 75")
    began = [one for one in entries(kernel.home, "run.start") if one.run == run]
    assert len(began) == 4  # the first got its work, which is progress


def test_a_run_that_a_service_spawned_for_nobody_ends_with_it(kernel: Kernel) -> None:
    install(kernel, _STARTER)
    install(kernel, _PATRON)
    call(kernel, "kernel.start", "patron")
    assert entry(kernel.home, "end", method="kernel.spawn").verdict == "done"
    call(kernel, "kernel.stop", "patron")
    until(lambda: not runs(kernel, "starter"), "its run has ended")


def test_a_run_that_outlived_its_starter_replays(kernel: Kernel) -> None:
    install(kernel, _STARTER)
    with kernel.client() as client:
        starter = begin(client, "starter", left=2)
        begun = outcome(client, starter)["value"]
    entry(kernel.home, "run.end", run=starter)
    for run in begun:
        call(kernel, "kernel.stop", run)
        said = replay(kernel, run)
        assert said.code == 0, said.words
        work = entry(kernel.home, "call", call=entry(kernel.home, "run.start", run=run).call)
        assert (work.run, entry(kernel.home, "end", call=work.call).run) == (starter, starter)
        kernel.kill()  # the next one goes on under a kernel that never knew the starter
        kernel.up()
