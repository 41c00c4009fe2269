"""A kernel whose power is cut at a step of a call (acts). Started by test_power_cut.py and test_secrets_cut.py as a process.

python -c STARTER SEARCH-PATH tests.system.stepped HOME READY

A step is where the kernel is about to do what others see, or has just done it: to take a message, to send one, to write
into a file, to bring it to disk. From a message on that names one of METHODS, those of the kind that the home tells in `cut`
are counted, on all threads, and at the one whose number stands there before it, all is over: what was not brought to disk is
lost, and nothing runs any more. `cut` is gone then. Each kind is counted for itself, since threads do them side by side.
Of files that are replaced whole, only that they get their names is a step.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

METHODS: Final = (b"ledger.write", b"kernel.set")
DELIVERY: Final = 0.25  # seconds in which a message leaves this process, so that a step behind it is not one at it
T = TypeVar("T")


class Power:
    """What is lost when it is cut: by descriptor, the file that it is of, and the size of that when it was last on disk."""

    def __init__(self, home: Path) -> None:
        self._told, self._lock = home / "cut", Lock()
        self._left, self._kind = -1, ""
        self._unsynced: dict[int, tuple[int, int]] = {}

    def begin(self) -> None:
        """Count from here on."""
        left, self._kind = self._told.read_text().split(" ", 1)
        self._left = int(left)

    def step(self, kind: str) -> None:
        """One more; the last one does not return."""
        if kind != self._kind:
            return
        with self._lock:
            if self._left == 0:
                self._cut()
            self._left -= 1

    def around(self, what: str, act: Callable[[], T]) -> T:
        """A step before something that is done, and one after it."""
        self.step(f"before {what}")
        done = act()
        self.step(f"after {what}")
        return done

    def written(self, descriptor: int) -> None:
        """A file is about to grow."""
        found = os.fstat(descriptor)
        with self._lock:
            if self._unsynced.get(descriptor, (0, 0))[0] != found.st_ino:
                self._unsynced[descriptor] = found.st_ino, found.st_size

    def synced(self, descriptor: int) -> None:
        """All of a file is on disk."""
        with self._lock:
            self._unsynced.pop(descriptor, None)

    def _cut(self) -> None:
        if self._kind == "after a message is sent":
            time.sleep(DELIVERY)
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        for child in map(int, children.split()):
            os.kill(child, signal.SIGKILL)
        for descriptor, (inode, size) in self._unsynced.items():
            with suppress(OSError):  # it was closed
                found = os.fstat(descriptor)
                if found.st_ino == inode and found.st_size > size:
                    os.ftruncate(descriptor, size)
        self._told.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: list[str]) -> None:
    """Be the kernel of a home."""
    from kernel import main as kernel_main
    from kernel.bus import Bus

    power = Power(Path(arguments[0]))
    receive, send, pwrite, fdatasync, rename = Bus.receive, Bus.send, os.pwrite, os.fdatasync, Path.rename

    def received(bus: Bus) -> tuple[bytes, str, list[bytes]]:
        power.step("before a message is taken")
        told = receive(bus)
        if any(method in told[2][0] for method in METHODS):
            power.begin()
        power.step("after a message is taken")
        return told

    def sent(bus: Bus, route: bytes, header: bytes, body: bytes) -> bool | None:
        return power.around("a message is sent", lambda: send(bus, route, header, body))

    def written(descriptor: int, content: bytes, at: int) -> int:
        power.written(descriptor)
        return power.around("a file is written", lambda: pwrite(descriptor, content, at))

    def synced(descriptor: int) -> None:
        def sync() -> None:
            fdatasync(descriptor)
            power.synced(descriptor)

        power.around("a file is brought to disk", sync)

    def named(path: Path, target: Path) -> Path:
        return power.around("a file is named", lambda: rename(path, target))

    Path.rename = named  # type: ignore[assignment,method-assign]
    Bus.receive, Bus.send = received, sent  # type: ignore[assignment,method-assign]
    os.pwrite, os.fdatasync = written, synced  # type: ignore[assignment]
    kernel_main.main(arguments)
