"""A command that was forked is the process that exec would have made; else tests that run commands so would show little."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.forked import Server
from tests.cli.shell import Shell, is_gone
from tests.system.fates import children, until

NO_END = ("audit", "tail", "-f")


@pytest.fixture
def server(still: Shell) -> Iterator[Server]:
    server = Server(still.environment())
    yield server
    server.end()


@pytest.mark.parametrize(
    ("words", "stdin"),
    [((), ""), (("--help",), ""), (("stat",), ""), (("keys", "add", "\udcff"), ""), (("answer", "1", "-"), "ü\n")],
)
def test_it_tells_and_ends_as_one_that_was_started_by_exec(still: Shell, words: tuple[str, ...], stdin: str) -> None:
    assert still.run(*words, stdin=stdin) == still.run(*words, stdin=stdin, by_exec=True)


def begun(server: Server, home: Shell, within: float) -> tuple[int, threading.Thread, list[object]]:
    """A command that goes on: its process id, and a thread that puts into the list how it ended."""
    asked = {"words": NO_END, "stdin": "", "folder": str(Path.cwd()), "environment": home.environment()}
    ended: list[object] = []

    def run() -> None:
        try:
            ended.append(server.run(json.dumps(asked).encode(), within)[0])
        except (RuntimeError, TimeoutError) as error:
            ended.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    (child,) = until(lambda: children(server.pid), "a command")
    return child, thread, ended


def state(pid: int) -> list[object]:
    """Return what a process has of its start."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    told = ("Umask", "Uid", "Groups", "SigBlk", "SigIgn", "SigCgt", "Cap", "NoNewPrivs", "Seccomp", "Threads")
    status = [line for line in lines if line.startswith(told)]
    group = (os.getsid(pid), os.getpgid(pid), Path(f"/proc/{pid}/cgroup").read_text())
    limits = Path(f"/proc/{pid}/limits").read_text()
    open_ones = sorted(os.listdir(f"/proc/{pid}/fd"))
    return [status, group, limits, open_ones, os.readlink(f"/proc/{pid}/cwd"), os.readlink(f"/proc/{pid}/exe")]


def test_it_has_of_its_start_what_exec_gives(server: Server, still: Shell) -> None:
    forked, thread, ended = begun(server, still, 60.0)
    execed = still.begin(*NO_END)
    try:
        until(lambda: state(forked) == state(execed.pid), "the same state")
    finally:
        os.kill(forked, signal.SIGTERM)
        execed.kill()
        execed.communicate()
        thread.join()
    assert ended == [-signal.SIGTERM]


def test_one_that_takes_too_long_is_killed(server: Server, still: Shell) -> None:
    child, thread, ended = begun(server, still, 3.0)
    thread.join()
    server.end()
    assert (ended, is_gone(child)) == ([TimeoutError], True)


def test_a_server_that_is_gone_is_told(server: Server, still: Shell) -> None:
    child, thread, ended = begun(server, still, 60.0)
    os.kill(server.pid, signal.SIGKILL)
    thread.join()
    os.kill(child, signal.SIGKILL)
    assert ended == [RuntimeError]


def test_a_kernel_that_it_starts_has_of_its_start_what_exec_gives(still: Shell) -> None:
    found = []
    for by_exec in (False, True):
        assert still.run("up", by_exec=by_exec).code == 0
        pid = int(str(still.result("status")["pid"]))
        status, group, limits, _, *places = state(pid)  # it has opened descriptors of its own since
        assert group == (pid, pid, Path("/proc/self/cgroup").read_text())
        found.append([status, limits, *places])
        still.good("down")
    forked, execed = found
    assert forked == execed
