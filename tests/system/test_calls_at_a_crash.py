"""Every call has exactly one end, also one that its kernel did not live to see: the next kernel writes it.

The work of a task run, and what that asked for, goes on instead (tests/system/test_resuming.py).
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.system import fates
from tests.system.actors import actor, begin
from tests.system.attacks import balanced
from tests.system.fates import call, entries, entry, until
from wire import headers
from wire.entries import Entry

WORK = Source(
    actor("work", kind="task").toml.split("\n[provides.")[0].replace("main:Actor", "main:Work"),
    """
import asyncio
from runtime import Hand


class Work(Hand):
    async def run(self):
        await asyncio.sleep(3600)
""",
)
HOLD = [{"hold": True}]
WHY = "the kernel ended before it"


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, actor("sink", kind="task"))
        install(kernel, actor("relay", '"sink.do" = ["*"]'))
        install(kernel, WORK)
        yield kernel


def _open(kernel: Kernel) -> None:
    """A call that is open, one that it made, and a task's work; all in the log, none with an end."""
    with kernel.client() as client:
        call(kernel, "kernel.start", "work")
        begin(client, "relay.write", [{"call": "sink.do", "with": {"steps": HOLD}, "labels": ["secret"]}])
        entry(kernel.home, "call", method="sink.do")
        fates.pid_of(kernel, "sink")
        kernel.kill()


def test_a_call_open_at_a_crash_has_its_end_from_the_next_kernel_and_one_at_a_down_from_the_same(
    kernel: Kernel,
) -> None:
    _open(kernel)
    kernel.up()
    lost = {method: entry(kernel.home, "end", why=WHY, method=method) for method in ("relay.write", "sink.do")}
    calls = {one.call: one for one in entries(kernel.home, "call")}
    for end in lost.values():
        begun = calls[end.call]
        assert (end.verdict, end.principal) == ("failed", "kernel")
        assert (end.run, end.resource, end.parent) == (begun.run, begun.resource, begun.parent)
        assert end.labels == begun.labels
    assert lost["sink.do"].labels == ("secret",)
    answering = entry(kernel.home, "run.start", name="sink").run
    assert entry(kernel.home, "run.end", run=answering).why == f"run ended: {WHY}"
    fates.pid_of(kernel, "work")
    assert not entries_of_work(kernel.home)  # it goes on
    call(kernel, "kernel.stop", "work")
    assert [one.verdict for one in entries_of_work(kernel.home)] == ["cancelled"]
    kernel.down()
    balanced(kernel.home)
    kernel.up()
    _down_in_order(kernel)
    balanced(kernel.home)
    assert fates.verified(kernel.home).size == len(entries(kernel.home))


def _down_in_order(kernel: Kernel) -> None:
    """End a kernel with a call open, which is to have its end from this one."""
    before = len(entries(kernel.home, "call"))
    with kernel.client() as client:
        begin(client, "kernel.sleep", [])  # refused for its arguments
        client._number += 2
        client._send(_sleep(client._number), {"milliseconds": 3_600_000})
        until(lambda: len(entries(kernel.home, "call")) > before + 1, "it sleeps")
        kernel.down()


def entries_of_work(home: Path) -> list[Entry]:
    """The ends of what a task run was begun for."""
    return [one for one in entries(home, "end") if one.method == "run"]


PARENT = Source(
    WORK.toml.replace('"work"', '"parent"').replace("[capabilities]", '[capabilities]\n"kernel.spawn" = ["work"]'),
    """
from runtime import Hand


class Work(Hand):
    async def run(self):
        return (await self.kernel.spawn_and_wait("work")).code
""",
)


def test_the_work_of_a_run_that_cannot_go_on_has_its_end_also_when_its_spawner_goes_on(kernel: Kernel) -> None:
    install(kernel, PARENT)
    spawner = str(fates.table(call(kernel, "kernel.start", "parent"))["run"])
    child = entry(kernel.home, "run.start", name="work").run
    entry(kernel.home, "call", method="run", run=spawner)
    kernel.kill()
    (kernel.home / "journal" / "runs" / f"{child}.tape").unlink()
    kernel.up()
    with kernel.client() as client:
        assert fates.outcome(client, spawner)["value"] == "ended"
    kernel.down()
    balanced(kernel.home)


@pytest.mark.wide
def test_one_that_an_older_snapshot_knows_of_has_its_end_too(kernel: Kernel) -> None:
    kernel.down()
    frequent = Kernel(kernel.home, "tests.system.often")
    with frequent:
        with frequent.client() as client:
            begin(client, "relay.write", [{"call": "sink.do", "with": {"steps": HOLD}}])
            made = entry(frequent.home, "call", method="sink.do").seq
            until(lambda: entries(frequent.home, "snapshot")[-1].seq > made, "a snapshot while it is open")
            newest = entries(frequent.home, "snapshot")[-1].seq
            until(lambda: _size(frequent.home) >= newest, "its file is there")
            frequent.kill()
        frequent.up()
        for method in ("relay.write", "sink.do"):
            entry(frequent.home, "end", why=WHY, method=method)
        frequent.down()
        balanced(frequent.home)


def _size(home: Path) -> int:
    from kernel.home import Home
    from wire.snapshot import open_snapshot

    time.sleep(0.01)
    path = home / "log" / "snapshot"
    return open_snapshot(path.read_bytes(), Home(str(home)).keys().log.verify_key).size


def _sleep(number: int) -> headers.Call:
    return headers.Call(number=number, method="kernel.sleep", deadline=3_600_000)
