"""Starts the kernel's process, and waits until it is ready (acts)."""

import os
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from kernel import STARTER
from kernel.cli.exits import Ended, need_linux
from kernel.cli.serving import find_kernel

READY_S: Final = 60.0
"""Seconds within which a kernel must report that it is ready, or why not; recovering a long log takes time."""

LOOK_S: Final = 0.05
"""Seconds between two looks for a kernel that another command starts."""

PREFERENCE: Final = -10
"""The kernel's nice value among all sessions (sched(7), the autogroup feature), of -20 to 19."""

LOG_MAX: Final = 1024 * 1024
"""Size of run/kernel.log in bytes above which a start begins a new one."""


def kernel_command(home: str, ready: int) -> list[str]:
    """The command line of a kernel for this home, which reports on the descriptor `ready`."""
    path = ":".join(filter(None, sys.path))
    return [sys.executable, "-I", "-c", STARTER, path, "kernel.main", home, str(ready)]


def start(home: str) -> int:
    """Start a kernel that outlives this process; returns its process id when it is ready. Ended, with its reason, if not.

    It runs in a session of its own; its output, and its template's, is appended to run/kernel.log.
    """
    need_linux()
    report, ready = os.pipe()
    try:
        with _kernel_log(home) as log:
            process = subprocess.Popen(
                kernel_command(home, ready),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                pass_fds=(ready,),
                start_new_session=True,
            )
        os.close(ready)
        ready = -1
        line = _first_line(report)
    finally:
        os.close(report)
        if ready >= 0:
            os.close(ready)
    if line == "ready":
        prefer(process.pid)
        return process.pid
    if not line:
        raise Ended(f"the kernel ended before it was ready: `tail {shlex.quote(home)}/run/kernel.log` shows why")
    raise Ended(line if "`" in line else f"{line}; mend that, then `maniple up`")


def prefer(session: int) -> None:
    """Have the system prefer the kernel's session to others on busy processors, if this user may ask for that.

    It shares processors out among sessions, and a run can make as many of these as it may have processes.
    """
    with suppress(OSError):
        Path(f"/proc/{session}/autogroup").write_text(f"{PREFERENCE}\n")


def wait_for_other(home: str, run_folder: int) -> int:
    """Wait for a kernel that another command has begun to start; returns its process id, -1 if there is none.

    run_folder: a descriptor of the home's run folder. Its file `lock` names the kernel that holds the lock, or held it last.
    """
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if (pid := find_kernel(run_folder, home)) >= 0:
            return pid
        try:
            holder = Path(home, "run", "lock").read_text().strip()
            if b"kernel.main" not in Path("/proc", holder, "cmdline").read_bytes():
                return -1
        except (OSError, ValueError):
            return -1
        time.sleep(LOOK_S)
    return -1


def _first_line(descriptor: int) -> str:
    """Read the line that the kernel reports: `ready`, or what is wrong; "" if it died silently."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    line = b""
    while not line.endswith(b"\n"):
        if not poll.poll(READY_S * 1000):
            raise Ended("the kernel is still reading its log: try `maniple status` in a while")
        piece = os.read(descriptor, 4096)
        if not piece:
            break
        line += piece
    return line.decode(errors="replace").strip()


def _kernel_log(home: str) -> IO[bytes]:
    """Open run/kernel.log for appending; above LOG_MAX bytes it is first renamed to kernel.log.1.

    It is not renamed at every start: of several `up` at once, those that find a kernel running would move its log away.
    """
    os.makedirs(os.path.join(home, "run"), mode=0o700, exist_ok=True)
    path = os.path.join(home, "run", "kernel.log")
    if os.path.exists(path) and os.path.getsize(path) > LOG_MAX:
        os.replace(path, path + ".1")
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))


def has_this_code(log: Path) -> bool:
    """Whether the running kernel logged, at its start, the same code digests as this command's; True if nothing is logged.

    log: the log's folder. Raises Ended if it is damaged there.
    """
    from kernel.cli import logbook
    from kernel.digests import code_digests

    begun = logbook.newest(log, "kernel.start")
    return begun is None or begun.detail == code_digests()
