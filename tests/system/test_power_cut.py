"""No effect without a record, and no acknowledged end lost, wherever in an effectful call the power is cut."""

import os
import random
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kernel.cli.exits import Ended
from tests.living import Kernel, Source, install, make_home
from tests.system import fates
from tests.system.fates import call, entries, table, until

LEDGER = Source(
    """
[hand]
name = "ledger"
version = "1.0.0"
description = "Has effects that outlive any crash: each a line in a file, on disk before it is answered."
entry = "main:Ledger"
kind = "service"
autonomy = "full"

[provides."ledger.write"]
summary = "Write the number of the call"
resource = "none"
effect = "write"
""",
    """
import os
from runtime import Call, Hand


class Ledger(Hand):
    async def start(self) -> None:
        self.file = os.open(self.state / "effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    async def write(self, call: Call) -> object:
        os.write(self.file, f"{call.number}\\n".encode())
        os.fsync(self.file)
        return {"number": call.number}
""",
)

CALLERS = 3


class Callers:
    """Operators that call as fast as they can, until the kernel is gone. acknowledged: what they were told is done."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.acknowledged: list[int] = []
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def _call(self) -> None:
        try:
            with self._kernel.client() as client:
                while True:
                    told = table(client.call("ledger.write").value)
                    self.acknowledged.append(int(str(told["number"])))
        except Ended:
            return  # the kernel is gone

    def join(self) -> None:
        for thread in self._threads:
            thread.join(fates.PATIENCE)
            assert not thread.is_alive()


def _cut(kernel: Kernel, chance: random.Random) -> None:
    """Cut the power: the kernel and everything under it are gone at once, or one a moment before the other."""
    first, second = chance.sample([kernel.pid, fates.children(kernel.pid)[0]], 2)
    time.sleep(chance.uniform(0, 0.02))  # the instant, not a wait for anything
    match chance.randrange(4):
        case 0:  # stand still first: what was on its way to others arrives, what was to come from here does not
            os.kill(first, signal.SIGSTOP)
            time.sleep(chance.uniform(0, 0.005))
            os.kill(second, signal.SIGSTOP)
        case 1:
            os.kill(first, signal.SIGSTOP)
            time.sleep(chance.uniform(0, 0.02))
    for pid in (first, second):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the template ends with the kernel
    assert kernel.process is not None
    kernel.process.wait()


def _cut_again_and_again(home: Path, times: int, seed: int) -> None:
    chance = random.Random(seed)
    kernel = Kernel(home).up()
    install(kernel, LEDGER)
    call(kernel, "kernel.start", "ledger")
    acknowledged: list[int] = []
    for number in range(times):
        callers = Callers(kernel)
        if number % 8:  # now and then while the service, or even the template, still starts
            until(lambda: callers.acknowledged, "somebody was answered")
        below = fates.under(kernel.pid)
        _cut(kernel, chance)
        callers.join()
        until(lambda: not fates.living(below), "everything is gone", 1.0)
        acknowledged += callers.acknowledged
        kernel.up()
    kernel.down()
    _nothing_unrecorded(home, acknowledged)


def _nothing_unrecorded(home: Path, acknowledged: list[int]) -> None:
    (file,) = (home / "state").glob("*/effects")
    effects = [int(line) for line in file.read_text().split()]
    recorded = {one.call for one in entries(home, "call") if one.method == "ledger.write"}
    done = {one.call for one in entries(home, "end") if one.method == "ledger.write" and one.verdict == "done"}
    assert [number for number in effects if number not in recorded] == []
    assert [number for number in acknowledged if number not in done] == []
    assert len(effects) == len(set(effects))  # no number, and so no entry, stands for two effects
    assert set(acknowledged) <= set(effects)
    assert len(effects) > len(done) or len(acknowledged) > 100  # power was cut between an effect and its end
    assert fates.verified(home).size == len(entries(home))


def _cut_at(kernel: Kernel, kind: str, number: int) -> tuple[bool, int | None]:
    """Call once, and cut the power at a step, or at last: whether it came to that step, and what was acknowledged."""
    cut = kernel.home / "cut"
    until(lambda: "ready" in str(call(kernel, "kernel.ps")), "the service is up")
    cut.write_text(f"{number} {kind}")
    assert kernel.process is not None
    told = None
    with suppress(Ended):
        told = int(str(table(call(kernel, "ledger.write"))["number"]))
    with suppress(TimeoutError, subprocess.TimeoutExpired):
        kernel.process.wait(fates.PATIENCE if told is None else 0.5)  # it may be cut just behind the answer
    if kernel.process.poll() is None and told is not None:
        kernel.kill()
        return False, told
    assert kernel.process.poll() == -signal.SIGKILL
    assert not cut.exists()
    return True, told


def _cut_at_each(kernel: Kernel, kind: str) -> tuple[int, list[int]]:
    """Calls, each cut at one more step of a kind, till one is over before: how many were cut, and what was acknowledged."""
    cuts, cut, acknowledged = -1, True, list[int]()
    while cut:
        cuts += 1
        cut, told = _cut_at(kernel, kind, cuts)
        acknowledged += [told] if told is not None else []
        kernel.up()
    return cuts, acknowledged


ACTS = ("a message is taken", "a file is written", "a file is brought to disk", "a message is sent")


def test_power_cut_at_each_step_of_a_call_leaves_no_effect_without_its_record(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with Kernel(home, "tests.system.stepped") as kernel:
        install(kernel, LEDGER)
        call(kernel, "kernel.start", "ledger")
        cut = {kind: _cut_at_each(kernel, kind) for act in ACTS for kind in (f"before {act}", f"after {act}")}
        kernel.down()
    assert all(cuts for cuts, _ in cut.values()), cut
    assert len(cut["after a message is sent"][1]) > 1  # just behind an answer, too
    _nothing_unrecorded(home, [one for _, acknowledged in cut.values() for one in acknowledged])


@pytest.mark.wide
def test_power_cut_at_any_moment_leaves_no_effect_without_its_record(tmp_path: Path) -> None:
    _cut_again_and_again(make_home(tmp_path / "home"), 12, seed=20261121)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
def test_power_cut_hundreds_of_times_leaves_no_effect_without_its_record(tmp_path: Path, seed: int) -> None:
    _cut_again_and_again(make_home(tmp_path / "home"), 100, seed)
