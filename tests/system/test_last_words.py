"""What a run said just before its process ended, or is told just after: nothing is refused, and nobody accused."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.living import Kernel, Source, install, make_home
from tests.system.fates import PATIENCE, ended, entries, entry, pid_of, until

BRIEF = Source(
    """
[hand]
name = "brief"
version = "1.0.0"
description = "Says something, and is gone."
entry = "main:Brief"
kind = "service"
autonomy = "full"

[provides."brief.go"]
summary = "Say it and go"
resource = "none"
effect = "write"
""",
    """
import asyncio
import os
import time

from runtime import Call, Hand


class Brief(Hand):
    async def go(self, call: Call) -> object:
        (self.state / "begun").touch()
        while not (self.state / "now").exists():
            time.sleep(0.01)
        for word in ("my", "last", "words"):
            asyncio.ensure_future(self.kernel.note(word))
        await asyncio.sleep(0.2)  # they are on their way
        os._exit(3)
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, BRIEF)
        yield kernel


def test_last_words_that_are_heard_after_the_end_are_no_intruders(kernel: Kernel, client: Client) -> None:
    how: list[str] = []
    waiting = threading.Thread(target=lambda: how.append(ended(client, "brief.go")))
    waiting.start()
    until(lambda: [*kernel.home.glob("state/*/begun")], "it is asked")
    pid = pid_of(kernel, "brief")
    assert kernel.process is not None
    kernel.process.send_signal(signal.SIGSTOP)
    try:
        (next((kernel.home / "state").iterdir()) / "now").touch()
        until(lambda: _has_ended(pid), "its process is gone")
    finally:
        kernel.process.send_signal(signal.SIGCONT)
    waiting.join(PATIENCE)
    assert how in (["ended"], ["outcome unknown"])
    entry(kernel.home, "run.end")
    assert "malformed" not in [one.detail["code"] for one in entries(kernel.home, "refusal")]


def test_a_service_that_is_told_something_when_its_process_is_gone_already_is_no_offender(
    kernel: Kernel, client: Client
) -> None:
    how: list[str] = []
    waiting = threading.Thread(target=lambda: how.append(ended(client, "brief.go")))
    waiting.start()
    until(lambda: [*kernel.home.glob("state/*/begun")], "it is asked")
    pid, template = pid_of(kernel, "brief"), kernel.template_pid
    os.kill(template, signal.SIGSTOP)  # so the kernel is not told yet that the process has ended
    try:
        os.kill(pid, signal.SIGKILL)
        until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, "its process is dead")
        with kernel.client() as other, pytest.raises(NotDone):
            other.call("brief.go", seconds=0.2)
    finally:
        os.kill(template, signal.SIGCONT)
    waiting.join(PATIENCE)
    assert how in (["ended"], ["outcome unknown"])
    assert entry(kernel.home, "run.end").why == "killed by SIGKILL"
    assert [one.detail["code"] for one in entries(kernel.home, "refusal")] == []


def _has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
