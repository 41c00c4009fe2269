"""Nothing false: a day in which nothing happens leaves no trace, and what is due comes when it is due."""

import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from threading import Event

from kernel.core import HOUSEKEEPING
from kernel.watch import CALM, EVERY
from tests.living import ECHO, ROOT, Kernel, Source, install, make_home
from tests.system import fates
from tests.system.fates import call, entries, entry, pid_of, state_of, table, until

DAY = 24 * 3600.0

SLEEPY = Source(
    ECHO.toml.replace('"echo', '"sleepy').replace('kind = "service"', 'kind = "service"\nidle = "1h"'), ECHO.main
)


SELDOM = Source(
    """
[hand]
name = "seldom"
version = "1.0.0"
description = "Comes when a day and a quarter are over."
entry = "main:Seldom"
kind = "task"
autonomy = "readonly"

[schedule]
every = "30h"
""",
    """
from runtime import Hand


class Seldom(Hand):
    async def run(self) -> None:
        pass
""",
)

MOVED = """

_true_ms, _added = now_ms, 0.0


def now_ms() -> int:
    return _true_ms() + int(_added * 1000)


class Moved(Scheduling):
    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        true = loop.time
        loop.time = lambda: true() + _added
        await super().start()

    async def pass_time(self, call: Call, seconds: int, step: int) -> None:
        global _added
        for _ in range(0, seconds, step):
            _added += step
            for _ in range(5):  # whoever waited for that moment has his turn
                await asyncio.sleep(0)
"""
"""What makes of the scheduling Hand one whose clocks tests move, both the wall's and its loop's."""

PASS_TIME = """
[provides."scheduling.pass-time"]
summary = "Let so many seconds pass, in steps of so many"
resource = "none"
effect = "read"
params = { seconds = "int", step = "int" }

[events]
"""


def _moved_scheduling(place: Path) -> Path:
    folder = shutil.copytree(
        ROOT / "hands" / "scheduling", place / "hand", ignore=shutil.ignore_patterns("__pycache__")
    )
    toml, main = folder / "HAND.toml", folder / "main.py"
    toml.write_text(toml.read_text().replace("main:Scheduling", "main:Moved").replace("\n[events]\n", PASS_TIME))
    main.write_text(main.read_text() + MOVED)
    return folder


def pass_time(kernel: Kernel, seconds: float, step: float) -> None:
    """Let so many seconds pass on the kernel's clock, in steps of at most so many."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker:
        asker.bind(os.path.join(folder, "asker"))
        asker.settimeout(60)
        asker.sendto(f"{seconds} {step}".encode(), str(kernel.home / "run" / "clock"))
        assert asker.recv(100) == b"passed"


def _seconds_up(kernel: Kernel) -> float:
    (row,) = fates.runs(kernel, "echo")
    return float(str(row["seconds"]))


def test_24_idle_hours_bring_no_entry_no_restart_and_no_warning(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.slow_day") as kernel:
        install(kernel, ECHO)
        install(kernel, SLEEPY)
        call(kernel, "kernel.start", "echo")
        at, began = pid_of(kernel, "echo"), _seconds_up(kernel)
        before = int(str(table(call(kernel, "kernel.status"))["entries"]))
        pass_time(kernel, DAY, HOUSEKEEPING / 3)
        assert _seconds_up(kernel) - began >= DAY
        after = int(str(table(call(kernel, "kernel.status"))["entries"]))
        assert pid_of(kernel, "echo") == at
        assert call(kernel, "echo.say", "", {"text": "still here"}) == {"text": "still here"}
        kernel.down()
        idle = entries(kernel.home)[before:after]
        assert {(one.kind, one.method) for one in idle} <= {("call", "kernel.ps"), ("end", "kernel.ps")} | {
            ("call", "kernel.status"), ("end", "kernel.status"),
        }  # fmt: skip
        assert len(idle) <= 4
        assert kernel.log() == ""
        assert not list((kernel.home / "output").glob("*.1"))


def test_24_idle_hours_of_what_keeps_time_bring_nothing_either_and_what_is_due_then_comes(tmp_path: Path) -> None:
    """The clocks of the scheduling Hand are its own process's, and moved there."""
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, SELDOM)
        install(kernel, _moved_scheduling(tmp_path))
        call(
            kernel, "scheduling.pass-time", arguments={"seconds": 0, "step": 1}
        )  # it is up, and knows what is scheduled
        until(lambda: table(call(kernel, "scheduling.next"))["hands"], "it knows what is scheduled")
        before = int(str(table(call(kernel, "kernel.status"))["entries"]))
        call(kernel, "scheduling.pass-time", arguments={"seconds": int(DAY), "step": 5}, seconds=60)
        call(kernel, "kernel.status")
        idle = entries(kernel.home)[before:]
        assert {one.method for one in idle} <= {"scheduling.pass-time", "kernel.status"}, idle
        assert (kernel.home / "output" / "scheduling.log").read_text() == ""
        call(kernel, "scheduling.pass-time", arguments={"seconds": 7 * 3600, "step": 5}, seconds=60)
        due = entry(kernel.home, "run.start", name="seldom")
        assert due.seq >= before
        entry(kernel.home, "run.end", run=due.run)
        assert kernel.log() == ""


def test_a_service_that_nobody_wants_up_stops_when_its_idle_time_is_over_and_not_before(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.slow_day") as kernel:
        install(kernel, SLEEPY)
        call(kernel, "sleepy.say", "", {"text": "up"})
        for _ in range(5):  # each call begins its idle time anew
            pass_time(kernel, 3500, 10)
            assert call(kernel, "sleepy.say", "", {"text": "up"}) == {"text": "up"}
        assert len(entries(kernel.home, "run.start")) == 1
        pass_time(kernel, 3700, 10)
        entry(kernel.home, "run.end", why="idle")
        until(lambda: state_of(kernel, "sleepy") == "stopped", "stopped")
        before = len(entries(kernel.home, "run.start", "run.end", "hand.state"))
        pass_time(kernel, DAY, 60)
        assert len(entries(kernel.home, "run.start", "run.end", "hand.state")) == before == 2
        assert kernel.log() == ""


def test_a_service_that_is_wanted_while_its_idle_time_passes_stays_up(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.slow_day") as kernel:
        install(kernel, SLEEPY)
        call(kernel, "sleepy.say", "", {"text": "up"})
        pass_time(kernel, 3500, 60)
        call(kernel, "kernel.start", "sleepy")
        pass_time(kernel, DAY, 60)
        assert state_of(kernel, "sleepy") == "ready"
        assert len(entries(kernel.home, "run.start", "run.end")) == 1


def test_the_kernel_itself_goes_round_only_for_its_housekeeping(tmp_path: Path) -> None:
    """On the true clock: a kernel with nothing to do wakes for nothing, and while a Hand is up for the looks at it alone."""
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, ECHO)
        call(kernel, "kernel.start", "echo")
        switches = Path(f"/proc/{kernel.pid}/status")

        def woken() -> int:
            told = dict(line.split(":\t", 1) for line in switches.read_text().splitlines())
            return int(told["voluntary_ctxt_switches"])

        def rested() -> bool:
            before = woken()
            os.sched_yield()
            return woken() == before

        def woken_at_rest() -> tuple[int, float]:
            """How often it woke, and in how many seconds."""
            until(rested, "at rest")
            Event().wait(1.2)  # the checkpoint of what was written last
            before, began = woken(), time.monotonic()
            Event().wait(1.5)
            return woken() - before, time.monotonic() - began

        times, seconds = woken_at_rest()
        assert times <= seconds * (1 / EVERY + 1 / CALM) + 2
        call(kernel, "kernel.stop", "echo")
        until(lambda: not fates.runs(kernel), "it is down")
        assert woken_at_rest()[0] <= 2
