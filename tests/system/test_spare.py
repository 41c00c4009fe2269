"""The process that stands ready to be the next run: who gets it, what it knows, and when there is none."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kernel.process import spare
from tests.cli.shell import is_gone
from tests.living import ECHO, ROOT, Kernel, Source, install, make_home
from tests.process_memory import memory_of
from tests.system import fates
from tests.system.fates import call, pid_of, runs, until

SECRET = "the-price-of-the-fifth-house"
NUMBERED = Source(
    ECHO.toml.replace("echo", "numbered").replace("Echo", "Numbered"),
    """
import asyncio

from runtime import Call, Hand


class Numbered(Hand):
    async def start(self) -> None:
        task = asyncio.create_task(asyncio.sleep(0))
        self.said = [task.get_name(), asyncio.current_task().get_name()]
        await task

    async def say(self, call: Call, text: str) -> dict[str, object]:
        return {"text": " ".join(self.said)}
""",
)
SECRETIVE = Source(
    ECHO.toml.replace("echo", "secretive").replace("Echo", "Secretive")
    + '\n[settings.word]\ntype = "string"\nrequired = true\nhelp = "What nobody may know"\n',
    ECHO.main.replace("class Echo", "class Secretive"),
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, ECHO)
        yield kernel


def ready(kernel: Kernel) -> int:
    """The process that stands ready, as soon as there is one that is in its control group as well."""

    def look() -> int:
        return next((pid for pid in fates.spare_of(kernel.template_pid) if _in_its_group(pid)), 0)

    return until(look, "a process stands ready")


def _in_its_group(pid: int) -> bool:
    """Where there are no groups, each is in its own."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    group = next((line for line in lines if ":memory:" in line), "")
    return os.geteuid() != 0 or not group or "/spare-" in group


def test_the_next_run_is_the_process_that_stands_ready_and_meets_the_same_as_in_one_of_its_own(kernel: Kernel) -> None:
    install(kernel, NUMBERED)
    forked = call(kernel, "numbered.say", "", {"text": "hi"})
    stood = ready(kernel)
    assert stood != pid_of(kernel, "numbered")
    call(kernel, "kernel.stop", "numbered")
    assert call(kernel, "numbered.say", "", {"text": "hi"}) == forked
    assert pid_of(kernel, "numbered") == stood
    assert ready(kernel) != stood


@pytest.mark.wide
def test_with_nothing_to_do_there_is_none(kernel: Kernel) -> None:
    call(kernel, "echo.say", "", {"text": "hi"})
    stood = ready(kernel)
    until(lambda: not Path(f"/proc/{stood}").exists(), "it is ended", spare.LIFE + fates.PATIENCE)
    assert fates.children(kernel.template_pid) == [pid_of(kernel, "echo")]
    call(kernel, "kernel.stop", "echo")
    call(kernel, "echo.say", "", {"text": "hi"})
    assert ready(kernel) != stood


@pytest.mark.wide
def test_one_that_is_killed_costs_nobody_anything(kernel: Kernel) -> None:
    install(kernel, NUMBERED)
    call(kernel, "echo.say", "", {"text": "hi"})
    os.kill(ready(kernel), signal.SIGKILL)
    call(kernel, "numbered.say", "", {"text": "hi"})
    call(kernel, "kernel.stop", "numbered")
    stood = ready(kernel)
    os.kill(stood, signal.SIGSTOP)  # it is asked to be the run, and dies of it
    with ThreadPoolExecutor(1) as beside:
        answer = beside.submit(call, kernel, "numbered.say", "", {"text": "hi"})
        until(lambda: [run["pid"] for run in runs(kernel, "numbered")] == [stood], "it is the run")
        os.kill(stood, signal.SIGKILL)
        assert answer.result(fates.PATIENCE)
    assert pid_of(kernel, "numbered") != stood
    assert "Traceback" not in kernel.log()


@pytest.mark.wide
def test_one_that_dies_just_before_it_is_needed_is_followed_by_another(kernel: Kernel) -> None:
    install(kernel, NUMBERED)
    call(kernel, "echo.say", "", {"text": "hi"})
    stood = ready(kernel)
    os.kill(kernel.template_pid, signal.SIGSTOP)  # it hears of the run first, and of the death after it
    with ThreadPoolExecutor(1) as beside:
        answer = beside.submit(call, kernel, "numbered.say", "", {"text": "hi"})
        until(lambda: runs(kernel, "numbered"), "a run is asked for")
        os.kill(stood, signal.SIGKILL)
        until(lambda: is_gone(stood), "it has ended")
        os.kill(kernel.template_pid, signal.SIGCONT)
        assert answer.result(fates.PATIENCE)
    assert ready(kernel) != stood


@pytest.mark.skipif(os.geteuid() != 0, reason="only root maps the ids of roots")
def test_a_run_that_wants_other_namespaces_is_given_none(kernel: Kernel) -> None:
    for name in ("web", "files"):
        install(kernel, ROOT / "hands" / name)
    root = kernel.home.parent / "reports"
    root.mkdir()
    call(kernel, "kernel.root-add", "reports", {"path": str(root)})
    call(kernel, "echo.say", "", {"text": "hi"})
    stood = ready(kernel)
    for name in ("web", "files"):
        call(kernel, "kernel.start", name)
        assert pid_of(kernel, name) != stood
    assert ready(kernel) == stood


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into it")
def test_it_knows_nothing_of_any_run_before_it(kernel: Kernel) -> None:
    install(kernel, SECRETIVE)
    call(kernel, "kernel.set", "secretive", {"values": {"word": SECRET}})
    call(kernel, "secretive.say", "", {"text": "hi"})
    assert SECRET.encode() in b"".join(memory_of(pid_of(kernel, "secretive"), "rw"))
    found = b"".join(memory_of(ready(kernel), "rw"))
    assert len(found) > 1_000_000
    assert SECRET.encode() not in found
    assert b"secretive" not in found
