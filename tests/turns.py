"""Lets tests in parallel processes take turns (acts): most share the machine, and one that measures time runs alone.

Both locks are flock(2) locks, which a dying process releases, so nothing is left to clean up.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def turn(gate: Path, room: Path, *, alone: bool) -> Iterator[None]:
    """Wait for a turn and hold it in the block. gate, room: a file or folder each, the same in all processes, only locked.

    A test that must be alone holds the gate until the room is empty, so later ones wait behind it, and it cannot starve.
    """
    locks = gate_lock, room_lock = os.open(gate, os.O_RDONLY), os.open(room, os.O_RDONLY)
    try:
        fcntl.flock(gate_lock, fcntl.LOCK_EX)
        fcntl.flock(room_lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate_lock, fcntl.LOCK_UN)
        yield
    finally:
        for descriptor in locks:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # explicitly: a forked child may still have it open
            os.close(descriptor)


class Turns:
    """The turns of one process's tests. Consecutive tests that must be alone share one turn.

    Otherwise each of them would wait until the tests of all other processes have ended.
    """

    def __init__(self, gate: Path, room: Path) -> None:
        self._gate, self._room = gate, room
        self._held = ExitStack()
        self._is_alone = False

    @contextmanager
    def next(self, *, alone: bool, then_alone: bool) -> Iterator[None]:
        """Hold the turn of a test. then_alone: whether this process's next test must be alone, too."""
        if not self._is_alone:
            self._held.enter_context(turn(self._gate, self._room, alone=alone))
        self._is_alone = alone and then_alone
        try:
            yield
        finally:
            if not self._is_alone:
                self._held.close()
