"""A kernel that has hardly a descriptor left refuses further runs and links, and goes on: libzmq would end it otherwise."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.cli.client import Client
from kernel.cli.exits import Ended
from tests.living import ECHO, Kernel, Source, install, make_home
from tests.system.fates import call, ended, table, until

MOST = 128

SLEEPER = Source(
    """
[hand]
name = "sleeper"
version = "1.0.0"
description = "Waits for ever."
entry = "main:Sleeper"
kind = "task"
autonomy = "full"
""",
    """
import threading
from runtime import Hand


class Sleeper(Hand):
    async def run(self) -> None:
        threading.Event().wait()
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    kernel = Kernel(make_home(tmp_path / "home"))
    with kernel:
        for hand in (ECHO, SLEEPER):
            install(kernel, hand)
        call(kernel, "echo.say", "", arguments={"text": "hi"})
        resource.prlimit(kernel.pid, resource.RLIMIT_NOFILE, (MOST, MOST))
        yield kernel
        assert "Too many open files" not in kernel.log()


@pytest.mark.wide
def test_runs_are_refused_before_there_is_no_descriptor_left_for_one(kernel: Kernel) -> None:
    with kernel.client() as client:
        ends = [ended(client, "kernel.start", "sleeper") for _ in range(MOST)]
        runs = ends.index("room")
        assert runs > MOST // 8
        assert set(ends) == {"done", "room"}
        until(lambda: _states(client) == ["working"] * runs, "all that were begun have come to the bus", seconds=60)
        assert ended(client, "echo.say", "", {"text": "hi"}) == "done"
        call(kernel, "kernel.stop", "sleeper")
        until(lambda: _states(client) == [], "they are gone", seconds=30)
        assert ended(client, "kernel.start", "sleeper") == "done"


def test_links_of_the_operators_are_refused_before_there_is_no_descriptor_left(kernel: Kernel) -> None:
    links: list[Client] = []
    with pytest.raises(Ended):
        for _ in range(MOST):
            links.append(kernel.client())
            links[-1].call("kernel.status")
    assert len(links) > MOST // 4
    assert ended(links[0], "echo.say", "", {"text": "hi"}) == "done"
    for link in links:
        link.close()
    until(lambda: _is_let_in(kernel), "there is room again")


def _states(client: Client) -> list[str]:
    rows = table(client.call("kernel.ps").value)["runs"]
    assert isinstance(rows, list)
    return [str(table(row)["state"]) for row in rows if table(row)["hand"] == "sleeper"]


def _is_let_in(kernel: Kernel) -> bool:
    try:
        with kernel.client() as client:
            return ended(client, "kernel.status") == "done"
    except Ended:
        return False
