"""A kernel's process, from outside (acts): start it, and see whether one is there."""

import os
import shlex
import subprocess
import sys
from typing import IO, Final

from kernel import STARTER
from kernel.cli.exits import Ended, need_linux

READY_WITHIN: Final = 60.0
"""Seconds in which a kernel must say that it is ready, or what is wrong; a long log takes some to recover."""

LOG_MOST: Final = 1024 * 1024
"""Bytes of run/kernel.log at which a start begins a new one."""


def arguments(home: str, ready: int) -> list[str]:
    """What to execute for a kernel of this home that reports on descriptor `ready`."""
    path = ":".join(filter(None, sys.path))
    return [sys.executable, "-I", "-c", STARTER, path, "kernel.main", home, str(ready)]


def start(home: str) -> int:
    """Start a kernel that outlives this process, and give its process id once it answers. Raises Ended with its reason.

    It has a session of its own; what it and its template write to stderr is added to run/kernel.log.
    """
    need_linux()
    hear, ready = os.pipe()
    try:
        with _kernel_log(home) as log:
            process = subprocess.Popen(
                arguments(home, ready),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                pass_fds=(ready,),
                start_new_session=True,
            )
        os.close(ready)
        ready = -1
        said = _first_line(hear)
    finally:
        os.close(hear)
        if ready >= 0:
            os.close(ready)
    if said == "ready":
        return process.pid
    if not said:
        raise Ended(f"the kernel ended before it was ready: `tail {shlex.quote(home)}/run/kernel.log` shows why")
    raise Ended(said if "`" in said else f"{said}; mend that, then `maniple up`")


def _first_line(descriptor: int) -> str:
    """The line the kernel says: `ready`, or what is wrong; "" when it died without a word."""
    import select

    hears = select.poll()
    hears.register(descriptor, select.POLLIN)
    said = b""
    while not said.endswith(b"\n"):
        if not hears.poll(READY_WITHIN * 1000):
            raise Ended("the kernel is still reading its log: try `maniple status` in a while")
        piece = os.read(descriptor, 4096)
        if not piece:
            break
        said += piece
    return said.decode(errors="replace").strip()


def _kernel_log(home: str) -> IO[bytes]:
    """run/kernel.log, at its end; one that has grown beyond LOG_MOST is moved to kernel.log.1 first.

    Not opened anew for each: of several `up` at once all but one find in the end that a kernel is there, and would have
    moved its log away from it.
    """
    os.makedirs(os.path.join(home, "run"), mode=0o700, exist_ok=True)
    path = os.path.join(home, "run", "kernel.log")
    if os.path.exists(path) and os.path.getsize(path) > LOG_MOST:
        os.replace(path, path + ".1")
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))
