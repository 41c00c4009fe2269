"""What a run returned is heard whole also by who asks late, however much others returned meanwhile."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.system.fates import runs, table, until
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


@pytest.fixture
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
