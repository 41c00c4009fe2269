"""`maniple tell` says nothing into the void: what does not hear yet is waited for, and what never does is named."""

import time
from pathlib import Path
from typing import Any

import pytest

from kernel.cli import tell
from kernel.cli.client import Client
from kernel.cli.exits import Ended
from tests.cli.shell import Shell
from tests.living import Source, write_hand
from tests.system.fates import until

SLUGGISH = Source(
    """
[hand]
name = "sluggish"
version = "1.0.0"
description = "Hears what it is told, after a while, and says it again."
entry = "main:Sluggish"
kind = "task"
autonomy = "full"

[events]
subscribes = ["operator.said"]
""",
    """
import asyncio

from runtime import Hand


class Sluggish(Hand):
    async def start(self):
        self.heard = asyncio.Queue()

    async def on_event(self, event):
        self.heard.put_nowait(event.body["text"])

    async def run(self, first: float = 0.0, then: float = 10.0) -> object:
        await self.sleep(first)
        await self.kernel.subscribe("operator.said")
        try:
            async with asyncio.timeout(then):
                return await self.heard.get()
        except TimeoutError:
            return "nothing"
""",
)


@pytest.fixture(scope="module")
def sluggish(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell.good("install", write_hand(tmp_path_factory.mktemp("sluggish") / "sluggish", SLUGGISH), "--yes")
    return shell


def _begun(shell: Shell, **inputs: float) -> str:
    told: Any = shell.result("start", "sluggish", *(f"{name}:={value}" for name, value in inputs.items()))
    return str(told["run"])


def _told_of(shell: Shell, run: str) -> list[str]:
    """What a run hears, as the kernel tells of it."""
    with Client(str(shell.home)) as client:
        told: Any = client.call("kernel.ps", "", {"only": run}).value
        assert "hears" not in str(client.call("kernel.ps").value), "a thousand rows must fit into one answer"
    return list(told["runs"][0]["hears"])


def test_a_run_that_does_not_hear_yet_is_waited_for(sluggish: Shell) -> None:
    run = _begun(sluggish, first=1.0)
    assert sluggish.good("tell", run, "Good", "morning") == f"Sent to {run}.\n"
    assert sluggish.good("wait", run) == '"Good morning"\n'


def test_one_that_hears_is_told_at_once(sluggish: Shell) -> None:
    run = _begun(sluggish)
    until(lambda: _told_of(sluggish, run) == ["operator.said"], "it hears")
    began = time.monotonic()
    with Client(str(sluggish.home)) as client:
        tell.wait_until_listening(client, run)
    assert time.monotonic() - began < tell.LISTEN_S / 2
    assert sluggish.run("tell", run, "Good day").code == 0
    assert sluggish.good("wait", run) == '"Good day"\n'


def test_one_that_never_comes_to_hear_is_told_nothing_and_that_is_said(sluggish: Shell) -> None:
    run = _begun(sluggish, first=60.0)
    with Client(str(sluggish.home)) as client, pytest.raises(Ended) as ended:
        tell.wait_until_listening(client, run, 0.3)
    assert f"{run} does not hear you yet, and was told nothing" in str(ended.value)
    assert f"`maniple run-show {run}`" in str(ended.value)
    sluggish.good("cancel", run)


def test_one_that_ends_before_it_hears_is_told_nothing_and_that_is_said(sluggish: Shell, tmp_path: Path) -> None:
    run = _begun(sluggish, first=60.0)
    begun = sluggish.begin("tell", run, "Good night")
    time.sleep(0.3)  # it waits by then, or comes too late: either way the run is live no more
    sluggish.good("cancel", run)
    _, err = begun.communicate(timeout=30)
    assert begun.returncode == 1
    assert f"no run {run} is live: see `maniple ps`".encode() in err
