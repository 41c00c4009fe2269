"""A kernel on a clock that tests move: real in everything else. Started by test_idle.py as a process.

    python -c STARTER SEARCH-PATH tests.system.slow_day HOME READY

It listens on HOME/run/clock for two numbers, seconds to let pass and seconds of a step, and answers when they have.
"""

import os
import socket
import sys

from kernel import main as kernel_main
from kernel.loop import Loop


class MovedLoop(Loop):
    """The kernel's loop by the true clock and what was added to it."""

    added = 0.0

    def now(self) -> float:
        return super().now() + self.added


class Day:
    """Lets time pass step by step, with a turn of the kernel's loop after each."""

    def __init__(self, loop: MovedLoop, home: str) -> None:
        self._loop = loop
        self._left = self._step = 0.0
        self._turn = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._door.bind(os.path.join(home, "run", "clock"))
        loop.watch(self._door.fileno(), self._asked)
        loop.watch(self._turn, self._pass)

    def _asked(self) -> None:
        told, self._asker = self._door.recvfrom(100)
        self._left, self._step = map(float, told.split())
        os.eventfd_write(self._turn, 1)

    def _pass(self) -> None:
        os.eventfd_read(self._turn)
        if self._left <= 0:
            self._door.sendto(b"passed", self._asker)
            return
        self._loop.added += self._step
        self._left -= self._step
        os.eventfd_write(self._turn, 1)


def main(arguments: list[str]) -> None:
    """Be the kernel of a home, and its clock."""
    home, ready = arguments[0], int(arguments[1])
    os.umask(0o077)
    loop = MovedLoop()
    kernel = kernel_main.open_kernel(home, loop)
    day = Day(loop, home)
    os.write(ready, b"ready\n")
    os.close(ready)
    kernel_main.serve(kernel)
    del day
    sys.exit(0)
