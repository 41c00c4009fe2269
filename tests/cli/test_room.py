"""A command that finds no descriptor, thread or memory left says so in one line, and what to do: no fault of Maniple's."""

import errno
import os
import subprocess
import sys

import pytest

from kernel.cli import room
from tests.cli.shell import MANIPLE, Shell
from tests.living import ROOT

_NOBODY = 65_534
_THREADS = """
import os, resource, sys
sys.path.insert(0, sys.argv[1])
from kernel.cli import room
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
if os.geteuid() == 0:
    os.setuid(int(sys.argv[2]))
room.check_threads()
"""


def _limited(shell: Shell, limit: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *MANIPLE, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=shell.environment(),
    )


@pytest.mark.parametrize("most", [8, 12, 20])
def test_too_few_descriptors_are_told_of_as_that(shell: Shell, most: int) -> None:
    ran = _limited(shell, f"-n {most}", "status")
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"maniple: {most} files may be open at a time here, and a command needs ")
    assert ran.stderr.count("\n") == 1
    assert "`ulimit -n`" in ran.stderr


def test_a_command_takes_the_descriptors_that_it_may_have(shell: Shell) -> None:
    ran = _limited(shell, "-S -n 12", "call", "echo.say", "text=hi")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_where_no_thread_can_be_begun_that_is_told_before_there_is_a_link() -> None:
    """libzmq ends the whole process there."""
    ran = subprocess.run(
        [sys.executable, "-c", _THREADS, str(ROOT), str(_NOBODY)], capture_output=True, text=True, timeout=60
    )
    assert ran.stderr.splitlines()[-1].startswith(
        "kernel.cli.exits.Ended: there is no room for one more process or thread"
    )


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EMFILE, "x"), "too many open files: raise `ulimit -n`"),
        (OSError(errno.ENFILE, "x"), "too many open files in system: the whole machine"),
        (OSError(errno.ENOMEM, "x"), "cannot allocate memory: end something"),
        (
            BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)),
            "resource temporarily unavailable: end some processes",
        ),
        (BlockingIOError(errno.EAGAIN, "write could not complete without blocking"), ""),
        (RuntimeError("can't start new thread"), "there is no room for one more thread"),
        (ImportError("libx.so: failed to map segment from shared object"), "there is not enough memory for that"),
        (ImportError("No module named x"), ""),
        (OSError(errno.ENOENT, "x"), ""),
    ],
)
def test_what_is_used_up_is_told_with_what_to_do(error: Exception, told: str) -> None:
    assert room.exhausted(error).startswith(told)
    assert bool(room.exhausted(error)) == bool(told)
