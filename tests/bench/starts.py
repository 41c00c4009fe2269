"""Measures how long a kernel, a command and a run take to start (acts)."""

import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from tests.bench.bare import Forker
from tests.bench.home import ROOT, Kernel, Operator, install_echo, install_guest, new_home, trust
from tests.bench.samples import Row

SPAWN: Final = get_context("spawn")
IMPORTS: Final = "import zmq, msgspec, nacl.bindings"


def _time_imports() -> float:
    """Seconds that a new Python takes to import what the kernel needs."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    return time.perf_counter() - begun


def _time_first_answer(home: Path) -> float:
    """Seconds from the start of the kernel's process until a waiting client has its first answer."""
    operator = Operator(home)
    begun = time.perf_counter()
    with Kernel(home) as kernel:
        operator.call("kernel.status")
        taken = time.perf_counter() - begun
        kernel.wait_until_ready()
        operator.call("kernel.down")
        kernel.wait()
    operator.close()
    return taken


def kernel_start(folder: Path, rounds: int) -> list[Row]:
    """How long after the kernel's start a client that was there before has its first answer, beside Python's imports."""
    home = new_home(folder / "home")
    with Kernel(home).wait_until_ready() as kernel:
        operator = Operator(home).wait_for_hello()
        key = trust(home, operator)
        for number in range(5):
            install_echo(home, operator, key, f"echo-{number}")
        operator.call("kernel.down")
        kernel.wait()
    ours, bare = [], []
    for _ in range(rounds * 2):
        ours.append(_time_first_answer(home) * 1000)
        bare.append(_time_imports() * 1000)
    what = f"kernel: process start → first call answered, beside `python -c '{IMPORTS}'`"
    return [Row(name="start", what=what, unit="ms", ours=tuple(ours), bare=tuple(bare), judged="ratio", limit=2)]


def ps(folder: Path, rounds: int) -> list[Row]:
    """How long `maniple ps` takes with one Hand running, beside Python's imports."""
    command = [str(ROOT / ".venv/bin/maniple"), "--home", str(folder / "home"), "ps"]
    home = new_home(folder / "home")
    with Kernel(home).wait_until_ready():
        operator = Operator(home).wait_for_hello()
        install_echo(home, operator, trust(home, operator), "echo")
        operator.call("echo.say", text="up")
        ours, bare = [], []
        for _ in range(rounds * 2):
            begun = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            ours.append((time.perf_counter() - begun) * 1000)
            bare.append(_time_imports() * 1000)
        operator.close()
    what = "`maniple ps`, whole process, beside the same line"
    return [Row(name="ps", what=what, unit="ms", ours=tuple(ours), bare=tuple(bare), judged="ratio", limit=1.5)]


def spawn(folder: Path, rounds: int) -> list[Row]:
    """How long a call of a stopped service takes: first with a spare process ready, then at once of a second, without one."""
    home = new_home(folder / "home")
    taken: dict[str, list[float]] = {"first": [], "second": []}
    bare, spawned = [], []
    with Forker(folder / "bare") as forker, Kernel(home).wait_until_ready():
        operator = Operator(home).wait_for_hello()
        key = trust(home, operator)
        for name in taken:
            install_echo(home, operator, key, name)
        for _ in range(rounds * 5 + 1):
            for name, samples in taken.items():
                begun = time.perf_counter()
                operator.call(f"{name}.say", text="up")
                samples.append((time.perf_counter() - begun) * 1000)
            for name in taken:
                operator.call("kernel.stop", name)
            begun = time.perf_counter()
            forker.fork_and_wait()
            bare.append((time.perf_counter() - begun) * 1000)
            spawned.append(_time_multiprocessing() * 1000)
        operator.close()
    ours, forked = (tuple(samples[1:]) for samples in taken.values())
    what = "run: call of a stopped service → its answer, fully confined, beside fork + CURVE hello + one unshare"
    ratio = Row(name="spawn", what=what, unit="ms", ours=ours, bare=tuple(bare[1:]), judged="ratio", limit=1.5)
    aim = Row(name="spawn-aim", what="the same, the aim", unit="ms", ours=ours, judged="median", limit=10)
    what = (
        "the same when none stands ready, beside a process of multiprocessing's spawn that only says hello, unconfined"
    )
    library = Row(name="spawn-mp", what=what, unit="ms", ours=forked, bare=tuple(spawned[1:]), judged="ratio", limit=1)
    return [ratio, aim, library]


def _time_multiprocessing() -> float:
    """Seconds until a process of multiprocessing's spawn says hello."""
    near, far = SPAWN.Pipe()
    begun = time.perf_counter()
    process = SPAWN.Process(target=far.send, args=("hello",))
    process.start()
    near.recv()
    taken = time.perf_counter() - begun
    process.join()
    return taken


def wasm(folder: Path, rounds: int) -> list[Row]:
    """How much longer a call that starts a WebAssembly service takes than one that starts a service in Python."""
    home = new_home(folder / "home")
    taken: dict[str, list[float]] = {"guest": [], "echo": []}
    with Kernel(home).wait_until_ready():
        operator = Operator(home).wait_for_hello()
        key = trust(home, operator)
        install_guest(home, operator, key, "guest")
        install_echo(home, operator, key, "echo")
        for _ in range(rounds * 5 + 1):
            for name, samples in taken.items():
                begun = time.perf_counter()
                operator.call(f"{name}.say", text="up")
                samples.append((time.perf_counter() - begun) * 1000)
                operator.call("kernel.stop", name)
        operator.close()
    more = tuple(ours - plain for ours, plain in zip(*(samples[1:] for samples in taken.values()), strict=True))
    what = "run of a WASM Hand: call → start → answer, beyond the same of a Hand in Python"
    return [Row(name="wasm", what=what, unit="ms", ours=more, judged="median", limit=10)]
