"""Measures the folders of many runs in one process, a child of the template's (acts).

Apart from the template, since somebody hostile decides how long it takes: he may have made a million files. So each run
is looked at for a moment only, and one that takes longer is gone through in a process of its own, beside the others, unless
one goes through it still: else they would be more each second. A process for each run and second would cost more than what
most of them do.
"""

import fcntl
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic
from typing import Final

from kernel import folders
from kernel.descriptors import pid_of
from kernel.errors import TooSlow
from kernel.process_tree import tree_of
from wire.launch import Bound, Measured

MOMENT: Final = 0.01
"""Seconds in which the folders of a run are looked through beside those of others: some thousand files."""

Tell = Callable[[Measured], None]


def measure(marks: int, tell: Tell, runs: Sequence[Bound], opened: Sequence[int], living: dict[int, int]) -> None:
    """Tell of each run whose folders take more than it may, and return when all are looked through.

    marks: a file that no run can reach, in which whoever goes through a run's folders has locked the byte of its number.
    opened: their descriptors, in the order of `runs`; living: the pidfd of each live run by its number. Raises OSError when
    no process can be made for one that takes long: the next look finds the rest.
    """
    folders.allow_depth()
    try:
        for run in runs:
            mine, opened = opened[: run.folders], opened[run.folders :]
            look = partial(_look, run, mine, living.get(run.number, -1), tell)
            try:
                look(monotonic() + MOMENT)
            except TooSlow:
                if os.fork() == 0:
                    with suppress(BlockingIOError):
                        fcntl.lockf(marks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, run.number)
                        look(inf)
                    os._exit(0)
    finally:  # none is left to a parent that does not know it
        with suppress(ChildProcessError):
            while True:
                os.wait()


def _look(run: Bound, opened: Sequence[int], pidfd: int, tell: Tell, until: float) -> None:
    size = sum(folders.measure(one, run.most, until) for one in opened)
    if size <= run.most and pidfd >= 0:
        size += folders.measure_unlinked(tree_of(pid_of(pidfd)), os.fstat(opened[0]).st_dev, until)
    if size > run.most:
        tell(Measured(number=run.number, size=size))
