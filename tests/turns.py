"""Turns of tests that run side by side (acts): most share the machine, and one that measures time has it for itself.

Both locks are held by the system, so whoever dies gives them back, and nothing is left to clean up.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def turn(gate: Path, room: Path, *, alone: bool) -> Iterator[None]:
    """Wait for a turn and have it. gate, room: a file or folder each, the same for all; nothing is written there.

    Whoever wants to be alone keeps the gate shut until the room is empty: who comes later waits, so he is never starved.
    """
    both = before, within = os.open(gate, os.O_RDONLY), os.open(room, os.O_RDONLY)
    try:
        fcntl.flock(before, fcntl.LOCK_EX)
        fcntl.flock(within, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(before, fcntl.LOCK_UN)
        yield
    finally:
        for descriptor in both:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that a test forked may still have it open
            os.close(descriptor)


class Turns:
    """The turns of one process's tests. Those that want to be alone, one right after the other, have one turn together.

    Else each of them would wait anew until the tests of all others have ended.
    """

    def __init__(self, gate: Path, room: Path) -> None:
        self._gate, self._room = gate, room
        self._had = ExitStack()
        self._is_alone = False

    @contextmanager
    def next(self, *, alone: bool, then_alone: bool) -> Iterator[None]:
        """The turn of a test. then_alone: the next one of this process wants to be alone as well."""
        if not self._is_alone:
            self._had.enter_context(turn(self._gate, self._room, alone=alone))
        self._is_alone = alone and then_alone
        try:
            yield
        finally:
            if not self._is_alone:
                self._had.close()
