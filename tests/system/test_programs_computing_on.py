"""A program that goes on computing for a call whose time is over is ended by its cpu limit, as other services are.

Its bridge stays free to hear that the call is over, and does not say that it is done with it until the program has read that.
"""

import os
import time
from collections.abc import Iterator
from typing import Final

import pytest

from kernel.cli.client import Client
from tests.cli.shell import Shell
from tests.living import Kernel, Source, install, make_home
from tests.system import fates
from tests.system.fates import ended, entries, entry
from tests.system.mcp_servers import PYTHON, add
from tests.system.programs import SAY, in_sh, wait_for

OVER: Final = "a call used more than its 1 s of processor time"

DOZING: Final = Source(
    """
[hand]
name = "dozing"
version = "1.0.0"
description = "Stands still, and gives way to nobody."
entry = "main:Dozing"
kind = "service"
autonomy = "full"

[provides."dozing.doze"]
summary = "Sleep for so many seconds"
resource = "none"
effect = "read"
params = { seconds = "float" }
""",
    """
import time

from runtime import Call, Hand


class Dozing(Hand):
    async def doze(self, call: Call, seconds: float) -> str:
        time.sleep(seconds)
        return "awake"
""",
)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("deaf") / "home")) as kernel:
        yield kernel


@pytest.fixture(scope="module")
def client(kernel: Kernel) -> Iterator[Client]:
    with kernel.client() as client:
        yield client


def _install(kernel: Kernel, name: str, answer: str) -> None:
    source = in_sh(name, answer)
    install(kernel, source._replace(toml=source.toml.replace("[limits]", '[limits]\ncpu = "1s"')))


def test_a_program_that_spins_for_a_call_whose_time_is_over_is_ended_and_the_next_answers(
    kernel: Kernel, client: Client
) -> None:
    _install(kernel, "deaf", f"case $line in *spin*) while :; do :; done ;; esac\n{SAY.replace('{}', 'echo up')}")
    assert client.call("deaf.do", seconds=60).value == "up"
    for _ in range(2):  # who comes later waits in vain, and pays with it
        assert ended(client, "deaf.do", "", {"text": "spin"}, seconds=0.3) == "deadline"
    entry(kernel.home, "run.end", why=OVER)
    assert client.call("deaf.do", seconds=60).value == "up"


@pytest.mark.wide
def test_a_program_that_reads_late_that_a_call_is_over_is_charged_until_then(kernel: Kernel, client: Client) -> None:
    """What it computes afterwards, for others, is theirs alone: each of them uses less than one call may."""
    work = "n=0; while [ $n -lt $many ]; do n=$((n+1)); done"
    many = f"many={_turns()}"
    _install(kernel, "slow", f"{many}\n{work}\n{SAY.replace('{}', 'echo up')}")
    assert client.call("slow.do", seconds=60).value == "up"
    before = len(entries(kernel.home, "run.end"))
    assert ended(client, "slow.do", seconds=0.1) == "deadline"
    for _ in range(6):
        assert client.call("slow.do", seconds=60).value == "up"
    assert len(entries(kernel.home, "run.end")) == before


def _turns() -> int:
    """How often sh goes round an empty loop in 0.4 s of processor time, about."""
    count = 100_000
    begun = os.times()
    os.system(f"n=0; while [ $n -lt {count} ]; do n=$((n+1)); done")
    took = os.times()
    return int(count * 0.4 / (took.children_user + took.children_system - begun.children_user - begun.children_system))


def test_one_that_spins_for_such_a_call_is_stopped_as_soon_as_any_other(kernel: Kernel, client: Client) -> None:
    source = in_sh("stuck", f"case $line in *spin*) while :; do :; done ;; esac\n{SAY.replace('{}', 'echo up')}")
    install(kernel, source)
    assert client.call("stuck.do", seconds=60).value == "up"
    assert ended(client, "stuck.do", "", {"text": "spin"}, seconds=0.3) == "deadline"
    begun = time.monotonic()
    client.call("kernel.stop", "stuck")
    assert time.monotonic() - begun < 9


def test_ps_shows_calls_whose_end_a_service_that_stands_still_has_not_acknowledged(
    kernel: Kernel, client: Client
) -> None:
    """It computes nothing, so no limit ends it, and it counts as ready; people see that it hears nothing."""
    install(kernel, DOZING)
    assert client.call("dozing.doze", "", {"seconds": 0.0}, seconds=60).value == "awake"
    (row,) = fates.runs(kernel, "dozing")
    assert (row["state"], row["overdue"]) == ("ready", 0)
    for _ in range(2):
        assert ended(client, "dozing.doze", "", {"seconds": 1e6}, seconds=0.3) == "deadline"
    (row,) = fates.runs(kernel, "dozing")
    assert (row["state"], row["open"], row["overdue"]) == ("ready", 0, 2)
    told = Shell(kernel.home).run("ps")
    assert "OVERDUE" in told.out
    assert f"{row['run']!s} of dozing has not acknowledged the end of 2 calls: if it hangs, `maniple " in told.err
    assert "restart dozing`" in told.err
    client.call("kernel.stop", "dozing")


@pytest.mark.wide
@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
def test_a_server_that_spins_for_a_call_whose_time_is_over_is_ended_too(kernel: Kernel, client: Client) -> None:
    spin = "def called(message):\n    while message['params']['arguments']['text'] == 'spin': pass\n"
    hand = add(kernel, "spins", f"{spin}    tell(id=message['id'], result=text('up'))\n", cpu="1s")
    assert client.call(f"{hand}.do", "", {"text": "hi"}, seconds=60).value == {"text": "up"}
    before = len(entries(kernel.home, "run.end"))
    assert ended(client, f"{hand}.do", "", {"text": "spin"}, seconds=0.5) == "deadline"
    wait_for(lambda: OVER in [one.why for one in entries(kernel.home, "run.end")[before:]])
    assert client.call(f"{hand}.do", "", {"text": "hi"}, seconds=60).value == {"text": "up"}
