"""Measures resuming: how soon a run with a long tape is where it was, and what keeping a tape adds to a call (acts)."""

import os
import signal
import time
from pathlib import Path
from typing import Final

from kernel.record.recovery import Lines
from tests.bench.home import Kernel, Operator, install, install_echo, new_home, trust
from tests.bench.samples import Row
from wire.entries import decode
from wire.signing import SigningKey

CALLS: Final = 10_000
"""How many calls are on the tape of the run that is resumed."""
BLOCK: Final = 300
"""How many calls one turn of a caller makes, with a tape or without."""
PATIENCE_SECONDS: Final = 120.0

_MANIFEST: Final = """[hand]
name = "{name}"
version = "1.0.0"
description = "Calls many times."
entry = "main:Caller"
kind = "{kind}"
autonomy = "full"

[capabilities]
"echo.say" = ["*"]

[limits]
wall = "1h"
calls_per_minute = 6000000
"""
_PROVIDES: Final = """
[provides."untaped.measure"]
summary = "Call many times"
resource = "none"
effect = "read"
"""
_LONG: Final = f"""from runtime import Hand


class Caller(Hand):
    async def run(self):
        for n in range({CALLS}):
            await self.kernel.call("echo.say", text="as long as a short call is")
        await self.kernel.note("all are made")
        while True:
            await self.sleep(0.01)
            await self.kernel.call("echo.say", text="live")
"""
_BLOCK: Final = f"""import time

from runtime import Hand


class Caller(Hand):
    async def measure(self, call):
        taken = []
        for n in range({BLOCK} + 30):
            begun = time.clock_gettime(time.CLOCK_MONOTONIC)
            await self.kernel.call("echo.say", text="as long as a short call is")
            taken.append((time.clock_gettime(time.CLOCK_MONOTONIC) - begun) * 1e6)
        return taken[30:]

    async def run(self):
        return await self.measure(None)
"""


def resume(folder: Path, rounds: int) -> list[Row]:
    """How long after a kernel's start a long run of a killed kernel makes its first call that is not on its tape."""
    home = new_home(folder / "home")
    ours = []
    with Kernel(home).wait_until_ready() as kernel:
        operator, key = _prepare(home)
        files = {"HAND.toml": _MANIFEST.format(name="caller", kind="task"), "main.py": _LONG}
        install(home, operator, key, "caller", files)
        operator.call("kernel.start", "caller")
        _wait_for_entry(home, "note", Lines(home / "log"), "all are made")
        _kill(kernel)
    for _ in range(rounds):
        before = Lines(home / "log")
        list(before)
        begun = time.time()
        with Kernel(home) as kernel:
            ours.append((_wait_for_entry(home, "call", before) - begun) * 1000)
            _kill(kernel)
    what = f"resume of a run with {CALLS:,} recorded calls: start of the kernel → the run's next live call"
    return [Row(name="resume", what=what, unit="ms", ours=tuple(ours), judged="median", limit=2000)]


def journal(folder: Path, rounds: int) -> list[Row]:
    """How long a call of a task takes, whose tape is kept, beside one of a service, which has none; in turns."""
    home = new_home(folder / "home")
    ours: list[float] = []
    bare: list[float] = []
    with Kernel(home).wait_until_ready():
        operator, key = _prepare(home)
        for name, kind, more in (("taped", "task", ""), ("untaped", "service", _PROVIDES)):
            files = {"HAND.toml": _MANIFEST.format(name=name, kind=kind) + more, "main.py": _BLOCK}
            install(home, operator, key, name, files)
        for _ in range(rounds * 2):
            told = operator.call("kernel.start", "taped", wait=True)
            assert isinstance(told, dict)
            ours += _rounded(told["value"])
            bare += _rounded(operator.call("untaped.measure"))
    what = "a Hand's call with its run's tape kept, beside the same call by a service, which has no tape"
    return [
        Row(name="journal", what=what, unit="µs", ours=tuple(ours), bare=tuple(bare), judged="ratio", limit=1.15)
    ]  # fmt: skip


def _prepare(home: Path) -> tuple[Operator, SigningKey]:
    """Connect as the operator, trust the sealing key, and install and start the Hand `echo`."""
    operator = Operator(home).wait_for_hello()
    key = trust(home, operator)
    install_echo(home, operator, key, "echo")
    operator.call("echo.say", text="up")
    return operator, key


def _rounded(samples: object) -> list[float]:
    assert isinstance(samples, list), samples
    return [round(float(one), 1) for one in samples]


def _kill(kernel: Kernel) -> None:
    os.kill(kernel.pid, signal.SIGKILL)
    kernel.wait()


def _wait_for_entry(home: Path, kind: str, after: Lines, why: str = "") -> float:
    """Wait until the log has an entry of a kind after what was read; its time. Of calls, only those of echo.say count."""
    from datetime import datetime

    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        after = Lines(home / "log", after.segment, after.offset)
        for line in after:
            entry = decode(line[:-1])
            if entry.kind == kind and entry.why == why and (kind != "call" or entry.method == "echo.say"):
                return datetime.fromisoformat(entry.time).timestamp()
        time.sleep(0.05)
    raise TimeoutError(f"no {kind} {why}")
