"""Measures what Maniple costs while it does nothing: memory, idle processor time, and a thousand Hands (acts)."""

import time
from pathlib import Path
from typing import Final

from kernel.process.spare import PAUSE
from tests.bench import machine
from tests.bench.home import Kernel, Operator, install_echo, new_home, trust
from tests.bench.samples import Row

FURTHER: Final = 20
INSTALLED: Final = 50
IDLE_SECONDS: Final = 20.0
MANY: Final = 1_000
AVAILABLE: Final = 3_900.0
"""Megabytes that a machine of 4 GB has for programs when Linux has started."""


def _pids(operator: Operator) -> list[int]:
    """The process of every run."""
    pids, after, more = list[int](), -1, True
    while more:
        shown = operator.call("kernel.ps", after=after)
        assert isinstance(shown, dict)
        runs = shown["runs"]
        assert isinstance(runs, list)
        for run in runs:
            assert isinstance(run, dict)
            pids.append(int(str(run["pid"])))
            after = int(str(run["began"]))
        more = bool(shown["more"])
    return pids


def _wait_for_runs_only(kernel: Kernel, operator: Operator) -> None:
    """Wait until the template has no child but the runs: the spare process shares memory too, and is forked a moment late."""
    time.sleep(10 * PAUSE)
    while len(machine.children(kernel.template())) > len(_pids(operator)):
        time.sleep(0.1)


def memory(folder: Path, rounds: int) -> list[Row]:
    """PSS of all of Maniple's processes: with one Hand, and what each of FURTHER idle ones adds."""
    first: list[float] = []
    further: list[float] = []
    for number in range(min(3, rounds)):
        home = new_home(folder / f"home-{number}")
        with Kernel(home).wait_until_ready() as kernel:
            operator = Operator(home).wait_for_hello()
            key = trust(home, operator)
            for hand in range(FURTHER + 1):
                install_echo(home, operator, key, f"echo-{hand}")
            operator.call("echo-0.say", text="up")
            core = [kernel.pid, kernel.template()]
            _wait_for_runs_only(kernel, operator)
            one = sum(map(machine.pss, [*core, *_pids(operator)]))
            for hand in range(1, FURTHER + 1):
                operator.call(f"echo-{hand}.say", text="up")
            _wait_for_runs_only(kernel, operator)
            all_of_them = sum(map(machine.pss, [*core, *_pids(operator)]))
            operator.close()
        first.append(one / 1e6)
        further.append((all_of_them - one) / FURTHER / 1e6)
    return [
        Row(
            name="memory", what="memory (PSS): kernel + template + one Hand", unit="MB", ours=tuple(first),
            judged="median", limit=40,
        ),
        Row(
            name="memory-further", what="memory (PSS): each further idle Hand", unit="MB", ours=tuple(further),
            judged="median", limit=4,
        ),
    ]  # fmt: skip


def idle(folder: Path, rounds: int) -> list[Row]:
    """Processor time of kernel and template while nothing happens, INSTALLED Hands installed."""
    home = new_home(folder / "home")
    shares: list[float] = []
    with Kernel(home).wait_until_ready() as kernel:
        operator = Operator(home).wait_for_hello()
        key = trust(home, operator)
        for hand in range(INSTALLED):
            install_echo(home, operator, key, f"echo-{hand}")
        operator.close()
        time.sleep(2)  # the last install has the template replaced
        core = [kernel.pid, kernel.template()]
        for _ in range(min(3, rounds)):
            before, begun = sum(map(machine.cpu_seconds, core)), time.perf_counter()
            time.sleep(IDLE_SECONDS)
            after, now = sum(map(machine.cpu_seconds, core)), time.perf_counter()
            shares.append((after - before) / (now - begun) * 100)
    what = f"idle: processor time of kernel and template with {INSTALLED} Hands installed, over {IDLE_SECONDS:g} s"
    return [Row(name="idle", what=what, unit="% of a core", ours=tuple(shares), judged="median", limit=0.2)]


def many(folder: Path, _: int) -> list[Row]:
    """How long a call takes, and how much memory all need, while MANY Hands run: all are started, then each is called.

    Besides what its processes hold, each run takes memory of Linux: a network namespace, page tables, stacks, mappings.
    """
    home = new_home(folder / "home")
    before = machine.available()
    with Kernel(home).wait_until_ready() as kernel:
        operator = Operator(home).wait_for_hello()
        key = trust(home, operator)
        for hand in range(MANY):
            install_echo(home, operator, key, f"echo-{hand}")
        begun = time.perf_counter()
        for hand in range(MANY):
            operator.call(f"echo-{hand}.say", text="up")
        up = time.perf_counter() - begun
        taken: list[float] = []
        for hand in range(MANY):
            begun = time.perf_counter()
            operator.call(f"echo-{hand}.say", text="still there?")
            taken.append((time.perf_counter() - begun) * 1000)
        _wait_for_runs_only(kernel, operator)
        taking = (before - machine.available()) / 1e6
        pids = _pids(operator)
        total = sum(map(machine.pss, [kernel.pid, kernel.template(), *pids])) / 1e6
        operator.close()
    note = f"{len(pids)} live, all started in {up:.1f} s one after the other, {total:,.0f} MB of PSS in all."
    return [
        Row(
            name="many", what=f"{MANY} live Hands, each called in turn: time of a call", unit="ms", ours=tuple(taken),
            judged="median", limit=10, note=note,
        ),
        Row(
            name="many-memory", what=f"memory that {MANY} live Hands, their kernel and Linux take", unit="MB", ours=(taking,),
            judged="median", limit=AVAILABLE,
        ),
    ]  # fmt: skip
