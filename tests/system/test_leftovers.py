"""A thousand starts and stops leave nothing behind: no process, descriptor, file, folder or memory."""

import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tests.living import Kernel, Source, install, make_home
from tests.system import fates
from tests.system.fates import call, entries, pid_of, state_of, table, until
from tests.system.test_resuming import DREAMER, begin

ERRAND = Source(
    """
[hand]
name = "errand"
version = "1.0.0"
description = "Leaves files and processes behind, and comes home."
entry = "main:Errand"
kind = "task"
autonomy = "full"
""",
    """
import asyncio, os, time
from runtime import Hand


class Errand(Hand):
    async def run(self, how: str = "well") -> object:
        (self.scratch / "deep" / "folder").mkdir(parents=True)
        (self.scratch / "deep" / "folder" / "file").write_text("left behind")
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(3600)
            os._exit(0)
        if how == "badly":
            raise ValueError("as it was told")
        if how == "never":
            await asyncio.sleep(3600)
        return how
""",
)

STAYING = Source(
    """
[hand]
name = "staying"
version = "1.0.0"
description = "Comes and goes as it is told."
entry = "main:Staying"
kind = "service"
autonomy = "full"

[limits]
wall = "5s"

[restart]
times = 1000
within = "1s"

[provides."staying.say"]
summary = "Answer"
resource = "none"
effect = "read"
""",
    """
from runtime import Call, Hand


class Staying(Hand):
    async def say(self, call: Call) -> object:
        return {}
""",
)

CROWD = 300

FOREMAN = Source(
    """
[hand]
name = "foreman"
version = "1.0.0"
description = "Sends out as many at once as its setting says."
entry = "main:Foreman"
kind = "task"
autonomy = "full"

[capabilities]
"kernel.spawn" = ["errand"]

[limits]
in_flight = 1000
calls_per_minute = 100000

[settings.errands]
type = "int"
default = 0
""",
    """
import asyncio
from runtime import Hand


class Foreman(Hand):
    async def run(self) -> object:
        self.told = asyncio.Event()
        await self.progress(1, 2)
        await self.told.wait()
        ends = await asyncio.gather(*(self.kernel.spawn_and_wait("errand") for _ in range(self.settings["errands"])))
        return sum(one.outcome == "done" for one in ends)

    async def on_settings(self, changed) -> None:
        self.told.set()
""",
)

GROWTH = 6 * 1024 * 1024
"""Bytes that a process may be larger after hundreds of runs: what allocators keep."""

BLOCKS = 80
"""Blocks of Python's memory that the kernel may have more after forty runs or links, two for each: what libraries keep of

the first ones, less and less each time. While it is, one run takes hundreds. After a thousand runs, one for every four: what
timers are due at that moment, and what libraries keep.
"""


class Standing(Struct, frozen=True):
    """What a kernel holds. blocks: those of Python's memory in the kernel; resident: bytes of it and of its template."""

    descriptors: tuple[int, int]
    zombies: int
    processes: int
    scratch: int
    mounts: int
    blocks: int
    resident: tuple[int, int]


def standing(kernel: Kernel) -> Standing:
    blocks, both = _blocks(kernel), (kernel.pid, kernel.template_pid)
    return Standing(
        descriptors=(fates.descriptors(both[0]), fates.descriptors(both[1])),
        zombies=len(fates.zombies(kernel.pid)),
        processes=len(fates.under(kernel.pid)),
        scratch=len(os.listdir(kernel.home / "scratch")),
        mounts=len(Path(f"/proc/{both[1]}/mounts").read_text().splitlines()),
        blocks=blocks,
        resident=(fates.resident(both[0]), fates.resident(both[1])),
    )


def _blocks(kernel: Kernel) -> int:
    """Blocks of Python's memory in the kernel, once no run that is over is among them."""

    def counted() -> list[int]:
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker:
            asker.bind(os.path.join(folder, "asker"))
            asker.settimeout(fates.PATIENCE)
            asker.sendto(b"", str(kernel.home / "run" / "count"))
            blocks, over = map(int, asker.recv(100).split())
        return [] if over else [blocks]

    return until(counted, "all that is over is forgotten")[0]


def as_before(kernel: Kernel, before: Standing, blocks: int = BLOCKS) -> None:
    """Everything is as it was, but for so many blocks, as soon as what ends has ended."""

    def same() -> bool:
        now = standing(kernel)
        is_held = any(getattr(now, name) > getattr(before, name) for name in Standing.__struct_fields__[:-2])
        return not is_held and now.blocks - before.blocks < blocks

    until(same, f"as before: {before}; now {standing(kernel)}")
    for was, now in zip(before.resident, standing(kernel).resident, strict=True):
        assert now - was < GROWTH, f"{(now - was) >> 10} KiB more"


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home"), "tests.system.counted") as kernel:
        install(kernel, ERRAND)
        install(kernel, STAYING)
        yield kernel


def _errands(kernel: Kernel, count: int) -> None:
    """So many runs, a few at a time, that end in every way there is."""
    left = iter(range(count))

    def some() -> None:
        with kernel.client() as client:
            for number in left:
                how = ("well", "well", "well", "badly", "never")[number % 5]
                told = table(
                    client.call("kernel.start", "errand", {"inputs": {"how": how}, "wait": how != "never"}).value
                )
                if how == "never":
                    client.call("kernel.stop", str(told["run"]))
                else:
                    assert told["outcome"] == ("done" if how == "well" else "failed"), told

    threads = [threading.Thread(target=some) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _goes_round(kernel: Kernel, warm: int, count: int) -> None:
    call(kernel, "staying.say")
    call(kernel, "kernel.stop", "staying")
    _errands(kernel, warm)
    until(lambda: not fates.runs(kernel), "all runs gone")
    before = standing(kernel)
    _errands(kernel, count)
    until(lambda: not fates.runs(kernel), "all runs gone")
    as_before(kernel, before, max(BLOCKS, count // 4))
    kernel.down()
    starts, ends = entries(kernel.home, "run.start"), entries(kernel.home, "run.end")
    assert len(starts) == len(ends) == warm + count + 1
    assert os.listdir(kernel.home / "scratch") == []


def test_forty_runs_leave_nothing_behind(kernel: Kernel) -> None:
    _goes_round(kernel, 10, 40)


@pytest.mark.soak
def test_a_thousand_runs_leave_nothing_behind(kernel: Kernel) -> None:
    _goes_round(kernel, 200, 1000)


@pytest.mark.wide
def test_services_that_start_stop_and_die_leave_nothing_behind(kernel: Kernel) -> None:
    def round_about() -> None:
        call(kernel, "kernel.start", "staying")
        os.kill(pid_of(kernel, "staying"), signal.SIGKILL)
        until(lambda: fates.runs(kernel) and state_of(kernel, "staying") == "ready", "up again")
        call(kernel, "kernel.restart", "staying")
        call(kernel, "kernel.stop", "staying")

    round_about()
    before = standing(kernel)
    for _ in range(4):
        round_about()
    as_before(kernel, before)


@pytest.mark.wide
def test_links_of_operators_that_come_and_go_or_die_leave_nothing_behind(kernel: Kernel) -> None:
    def link(*, politely: bool) -> None:
        if politely:
            call(kernel, "kernel.status")
        elif (pid := os.fork()) == 0:
            kernel.client().call("kernel.status")
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            os.waitpid(pid, 0)

    call(kernel, "staying.say")  # so the template is warm
    for _ in range(10):
        link(politely=True)
    before = standing(kernel)
    for number in range(40):
        link(politely=number % 2 == 0)
    as_before(kernel, before)


def test_what_runs_had_written_into_scratch_is_not_there_for_their_next_process(kernel: Kernel) -> None:
    """It begins as the first did; and what a run that does not go on left behind is swept."""
    for _ in range(5):
        call(kernel, "kernel.start", "errand", {"inputs": {"how": "never"}})
    until(lambda: len(list((kernel.home / "scratch").glob("*/deep/folder/file"))) == 5, "five at work")
    kernel.kill()
    assert len(os.listdir(kernel.home / "scratch")) == 5
    (kernel.home / "scratch" / "r-0000000000000000" / "deep").mkdir(parents=True)
    kernel.up()
    until(lambda: len(list((kernel.home / "scratch").glob("*/deep/folder/file"))) == 5, "five at work again")
    until(lambda: len(os.listdir(kernel.home / "scratch")) == 5, "swept")
    call(kernel, "kernel.stop", "errand")
    until(lambda: os.listdir(kernel.home / "scratch") == [], "swept")
    assert call(kernel, "kernel.start", "errand", {"wait": True}) is not None
    assert len(entries(kernel.home, "note")) == 0  # the template is the one it was


_PIDS = Path("/sys/fs/cgroup/pids")
"""Where control groups of version 1 bound how many processes there may be."""


@pytest.fixture
def crowded(kernel: Kernel) -> Iterator[Path]:
    """A run's work lies in its scratch, it is gone, and the template could make no process to remove that."""
    if not os.access(_PIDS / "cgroup.procs", os.W_OK):
        pytest.skip("there is no control group here in which a fork fails")
    run = str(table(call(kernel, "kernel.start", "errand", {"inputs": {"how": "never"}}))["run"])
    until(lambda: list((kernel.home / "scratch").glob("*/deep/folder/file")), "at work")
    group = _PIDS / f"maniple-test-{os.getpid()}"
    group.mkdir()
    (group / "cgroup.procs").write_text(str(kernel.template_pid))
    (group / "pids.max").write_text("1")
    call(kernel, "kernel.stop", run)
    until(lambda: not fates.runs(kernel), "gone")
    until(lambda: "max 0" not in (group / "pids.events").read_text(), "it could make none")
    assert os.listdir(kernel.home / "scratch") == [run]
    yield group
    until(lambda: not (group / "cgroup.procs").read_text(), "empty")
    group.rmdir()


@pytest.mark.wide
def test_a_scratch_is_removed_as_soon_as_there_is_room_for_another_process(kernel: Kernel, crowded: Path) -> None:
    (crowded / "pids.max").write_text("max")
    until(lambda: os.listdir(kernel.home / "scratch") == [], "swept")
    kernel.down()


@pytest.mark.wide
def test_what_a_template_had_still_to_remove_when_it_died_is_removed_by_the_next(kernel: Kernel, crowded: Path) -> None:
    os.kill(int((crowded / "cgroup.procs").read_text()), signal.SIGKILL)
    until(lambda: os.listdir(kernel.home / "scratch") == [], "swept")
    assert call(kernel, "kernel.start", "errand", {"wait": True}) is not None


@pytest.mark.wide
def test_the_kernel_answers_while_its_template_stands_still_and_then_every_run_has_its_turn(kernel: Kernel) -> None:
    """It has more to tell the template than their socket takes, and does not wait for it."""
    install(kernel, FOREMAN)
    with kernel.client() as client:
        foreman = str(table(client.call("kernel.start", "foreman").value)["run"])
        until(lambda: fates.runs(kernel)[0]["progress"], "at work")
        os.kill(kernel.template_pid, signal.SIGSTOP)
        client.call("kernel.set", "foreman", {"values": {"errands": CROWD}})
        until(lambda: int(str(table(client.call("kernel.status").value)["runs"])) == CROWD + 1, "all were asked for")
        os.kill(kernel.template_pid, signal.SIGCONT)
        told = table(client.call("kernel.wait", "", {"run": foreman}, seconds=100).value)
        assert (told["outcome"], told["value"]) == ("done", CROWD), told
    until(lambda: not fates.runs(kernel), "all gone")
    until(lambda: os.listdir(kernel.home / "scratch") == [], "swept")


@pytest.mark.wide
def test_a_run_that_ends_while_it_has_no_process_leaves_no_folder_and_the_kernel_does_not_touch_it(
    tmp_path: Path,
) -> None:
    """Even of an empty one a run decides how long that takes: the kernel stood still for thirty seconds."""
    with Kernel(make_home(tmp_path / "home"), "tests.system.restless") as kernel:
        install(kernel, DREAMER)
        run = begin(kernel, "dreamer", seconds=3600.0)
        fates.entry(kernel.home, "run.left", run=run, why="it only waits")
        os.kill(kernel.template_pid, signal.SIGSTOP)
        call(kernel, "kernel.stop", run)
        assert os.listdir(kernel.home / "scratch") == [run]
        os.kill(kernel.template_pid, signal.SIGCONT)
        until(lambda: os.listdir(kernel.home / "scratch") == [], "swept")
