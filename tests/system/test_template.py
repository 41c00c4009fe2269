"""A template that cannot start is tried again ever more slowly, then no more: until the operator asks for a start."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

import psutil
import pytest

from manifests.lives import TEMPLATES_MOST
from tests.cli.shell import Shell
from tests.living import ECHO, ROOT, Kernel, Source, install, make_home
from tests.system import fates
from tests.system.fates import call, ended, entries, entry, moment, state_of, table, until

_SEIZE: Final = 0x4206  # ptrace(2)
_WALL: Final = 0x4000_0000  # waitpid(2): also for what another process has made
NO_MORE = "none is started any more"
NAPPING = Source(
    """
[hand]
name = "napping"
version = "1.0.0"
description = "Sleeps for a moment."
entry = "main:Napping"
kind = "task"
autonomy = "readonly"
""",
    """
from runtime import Hand


class Napping(Hand):
    async def run(self) -> str:
        await self.sleep(1.0)
        return "awake"
""",
)

ONCE = Source(ECHO.toml.replace("echo", "once").replace('"service"', '"task"'), ECHO.main)


@pytest.fixture
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("template") / "home"), "tests.system.lame", by_exec=True) as kernel:
        install(kernel, ECHO)
        yield kernel


def _break(kernel: Kernel) -> str:
    """Kill the template, and let no other one live; why none is started any more."""
    (kernel.home / "state" / "lame").touch()
    os.kill(kernel.template_pid, signal.SIGKILL)
    return until(lambda: str(table(call(kernel, "kernel.status"))["template"]), "it is given up")


@pytest.mark.wide
def test_one_that_cannot_start_is_tried_ever_more_slowly_and_then_no_more(kernel: Kernel) -> None:
    call(kernel, "kernel.start", "echo")
    assert table(call(kernel, "kernel.status"))["template"] == ""
    why = _break(kernel)
    assert f"died {TEMPLATES_MOST} times" in why
    until(lambda: not fates.children(kernel.pid), "none is left")
    entry(kernel.home, "note", why=f"the template died, and with it every run; {NO_MORE}")
    deaths = [one for one in entries(kernel.home, "note") if "the template died" in one.why]
    assert len(deaths) == TEMPLATES_MOST
    gaps = [moment(after) - moment(before) for before, after in pairwise(deaths)]
    assert all(gap >= 0.1 * 2**number for number, gap in enumerate(gaps))
    with kernel.client() as client:
        assert ended(client, "echo.say", "", {"text": "hi"}) == "template"
        assert ended(client, "kernel.start", "echo") == "template"  # it is tried, and dies again
    told = Shell(kernel.home).run("status").out
    assert f"died {TEMPLATES_MOST + 1} times before one came up: see `maniple doctor` and run/kernel.log; " in told
    assert "`maniple start HAND`" in told
    assert state_of(kernel, "echo") == "stopped"  # and not in quarantine, as it is not at fault
    kernel.down()
    assert "Traceback" not in kernel.log()
    assert entries(kernel.home)[-2].kind == "kernel.stop"


def test_a_run_with_work_to_lose_waits_for_one_that_lives_also_under_the_next_kernel(kernel: Kernel) -> None:
    install(kernel, NAPPING)
    run = str(table(call(kernel, "kernel.start", "napping"))["run"])
    entry(kernel.home, "call", method="kernel.sleep")  # it is on disk
    call(kernel, "kernel.pause", "napping")  # so it waits without a process, under the next kernel as well
    kernel.kill()
    (kernel.home / "state" / "lame").touch()
    kernel.up()
    until(lambda: _deaths(kernel) > TEMPLATES_MOST, "as many have died as may without such a run")
    assert table(call(kernel, "kernel.status"))["template"] == ""
    (kernel.home / "state" / "lame").unlink()
    call(kernel, "kernel.resume", "napping")
    assert table(call(kernel, "kernel.wait", "", {"run": run}))["value"] == "awake"


@pytest.mark.wide
def test_where_no_process_can_be_made_for_one_nobody_waits_for_it_for_ever(kernel: Kernel) -> None:
    (kernel.home / "state" / "none").touch()
    os.kill(kernel.template_pid, signal.SIGKILL)
    until(lambda: _deaths(kernel), "it is noticed")
    with kernel.client() as client:
        assert ended(client, "echo.say", "", {"text": "hi"}, seconds=20) == "template"
        (kernel.home / "state" / "none").unlink()
        assert table(client.call("kernel.start", "echo").value)["state"] == "ready"


@pytest.mark.wide
def test_one_begins_with_the_names_that_a_run_uses_as_the_one_before_left_them(kernel: Kernel) -> None:
    """Also with those of what only a run does, and no rehearsal."""
    path = ROOT / "runtime" / "__pycache__" / f"names.{sys.implementation.cache_tag}"
    call(kernel, "kernel.start", "echo")
    assert {"curve_keypair", "setresuid", "create_task"} < set(path.read_text().split("\n"))
    first = until(lambda: fates.children(kernel.pid), "it is there")
    for pid in first:
        os.kill(pid, signal.SIGKILL)

    def begun() -> list[str]:
        call(kernel, "kernel.start", "echo")
        with suppress(OSError):
            for pid in set(fates.children(kernel.pid)) - set(first):
                return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        return []

    words = until(begun, "another one is there")
    assert words.count(str(path)) == 2  # to begin with, and to keep


@pytest.mark.wide
def test_one_that_was_given_up_is_tried_again_when_the_operator_starts_a_hand(kernel: Kernel) -> None:
    _break(kernel)
    (kernel.home / "state" / "lame").unlink()
    assert table(call(kernel, "kernel.start", "echo"))["state"] == "ready"
    assert table(call(kernel, "kernel.status"))["template"] == ""
    assert call(kernel, "echo.say", "", {"text": "hi"}) == {"text": "hi"}


def _is_another(kernel: Kernel, gone: int) -> bool:
    return fates.children(kernel.pid) not in ([gone], [])


@pytest.mark.wide
def test_one_that_brings_runs_up_may_die_as_often_as_it_likes(kernel: Kernel) -> None:
    for _ in range(TEMPLATES_MOST + 1):
        call(kernel, "echo.say", "", {"text": "hi"})
        template = kernel.template_pid
        os.kill(template, signal.SIGKILL)
        until(lambda gone=template: _is_another(kernel, gone), "another one is there")  # type: ignore[misc]
    assert call(kernel, "echo.say", "", {"text": "hi"}) == {"text": "hi"}
    assert not entries(kernel.home, "hand.state") or state_of(kernel, "echo") == "ready"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may trace a run's process")
def test_the_kernel_answers_while_a_killed_one_waits_for_a_run_that_takes_long_to_end(kernel: Kernel) -> None:
    """As one does that has a file in many pieces; here a process that traces it holds it. What is asked for meanwhile is
    done when there is another template.
    """
    install(kernel, ONCE)
    call(kernel, "echo.say", "", {"text": "hi"})
    run, gone = fates.pid_of(kernel, "echo"), kernel.template_pid
    with ThreadPoolExecutor(1) as beside, holding(run):
        os.kill(gone, signal.SIGKILL)
        until(lambda: psutil.Process(run).status() == psutil.STATUS_ZOMBIE, "the run is ended with it")
        assert call(kernel, "kernel.status")
        assert fates.children(kernel.pid) == [gone], "it is still there"
        assert [row["pid"] for row in fates.runs(kernel, "echo")] == [0], "another process may have its number by then"
        answer = beside.submit(call, kernel, "once.say", "", {"text": "hi"})
        until(lambda: fates.runs(kernel, "once"), "it is asked for")
    assert answer.result(fates.PATIENCE) == {"text": "hi"}
    assert call(kernel, "echo.say", "", {"text": "hi"}) == {"text": "hi"}
    assert _is_another(kernel, gone)


@contextmanager
def holding(pid: int) -> Iterator[None]:
    """Let a process end within this block only for its tracer: who waits for it waits until after the block."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.ptrace(_SEIZE, pid, None, None) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        os.waitpid(pid, _WALL)


@pytest.mark.wide
def test_a_call_that_was_open_when_templates_died_is_no_poison(kernel: Kernel) -> None:
    slow = ECHO.main.replace("        return", "        await asyncio.sleep(1.0)\n        return")
    install(kernel, Source(ECHO.toml.replace("1.0.0", "1.1.0"), f"import asyncio\n{slow}"))
    with ThreadPoolExecutor(1) as beside:
        answer = beside.submit(call, kernel, "echo.say", "", {"text": "hi"})
        for _ in range(3):
            until(lambda: [run for run in fates.runs(kernel, "echo") if run["open"]], "it is at its provider")
            gone = kernel.template_pid
            os.kill(gone, signal.SIGKILL)
            until(lambda gone=gone: _is_another(kernel, gone), "another one is there")  # type: ignore[misc]
        assert answer.result(fates.PATIENCE) == {"text": "hi"}


@pytest.mark.wide
def test_one_that_is_killed_while_it_starts_costs_no_other(kernel: Kernel) -> None:
    kills = 0
    for _ in range(3):
        call(kernel, "echo.say", "", {"text": "hi"})
        gone = fates.children(kernel.pid)
        os.kill(gone[-1], signal.SIGKILL)
        until(lambda gone=gone: {*fates.children(kernel.pid)} - {*gone}, "another one starts")  # type: ignore[misc]
        outer = fates.children(kernel.pid)[-1]
        until(lambda outer=outer: _has_begun(outer), "it has made the one that stays")  # type: ignore[misc]
        with suppress(ProcessLookupError):  # it was quick, and left already
            os.kill(outer, signal.SIGKILL)
        kills += 2
    assert call(kernel, "echo.say", "", {"text": "hi"}) == {"text": "hi"}
    assert _deaths(kernel) <= kills
    kernel.down()
    assert "Traceback" not in kernel.log()


def _has_begun(outer: int) -> bool:
    """Whether a template's first process has forked, or is gone already."""
    try:
        return bool(fates.children(outer))
    except FileNotFoundError:
        return True


def _deaths(kernel: Kernel) -> int:
    return sum("the template died" in one.why for one in entries(kernel.home, "note"))


def test_a_python_behind_links_serves_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `uv` and `pyenv` lay them: root's runs do not see links in a closed folder, only what they lead to."""
    (tmp_path / "now").symlink_to(sys.base_prefix)
    (tmp_path / "python").symlink_to(tmp_path / "now" / "bin" / Path(os.path.realpath(sys.executable)).name)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    tmp_path.chmod(0o700)
    with Kernel(make_home(tmp_path / "home"), by_exec=True) as kernel:
        install(kernel, ECHO)
        assert call(kernel, "echo.say", "", {"text": "hi"}) == {"text": "hi"}
