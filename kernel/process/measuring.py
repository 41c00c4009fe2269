"""Measures the folders of many runs, and their memory where asked, and counts locks, in a child of the template (acts).

Not in the template, since a hostile Hand decides how long it takes: it may have made a million files. So each run gets a
moment; one that takes longer, as memory may, is measured in a process of its own, unless such a process is still at it:
otherwise there would be more of them each second. A process per run and second would cost more than what most runs do.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from math import inf
from time import monotonic
from typing import Final

from kernel import folders
from kernel.descriptors import allow_all, pid_of
from kernel.errors import TooSlow
from kernel.process.unlinked import measure_unlinked
from kernel.process_tree import memory_of, tree_of
from manifests.values import LOCKS_MOST
from wire.launch import Bound, Measured

MOMENT: Final = 0.01
"""Seconds to measure the folders of one run in the common process: some thousand files."""

Tell = Callable[[Measured], None]


def measure(marks: int, tell: Tell, runs: Sequence[Bound], opened: Sequence[int], living: dict[int, int]) -> None:
    """Report each run whose folders or memory take more than it may, or that holds too many locks. Returns when all are done.

    marks: a pipe that no run can reach; a process that measures one run alone has locked the byte of the run's number.
    opened: the folders' descriptors, in the order of `runs`. living: the pidfds of live runs, by number. Raises OSError if
    no process can be made for a run that takes long: the next check finds the rest.
    """
    allow_all()
    _count_locks([(run, living[run.number]) for run in runs if run.number in living], tell, len(living))
    try:
        for run in runs:
            mine, opened = opened[: run.folders], opened[run.folders :]
            look = partial(_look, run, mine, living.get(run.number, -1), tell)
            try:
                look(-inf if run.memory else monotonic() + MOMENT)
            except TooSlow:
                if os.fork() == 0:
                    with suppress(BlockingIOError):
                        fcntl.lockf(marks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, run.number)
                        look(inf)
                    os._exit(0)
    finally:  # reap all children: process 1 of the namespace would not know them
        with suppress(ChildProcessError):
            while True:
                os.wait()


def _look(run: Bound, opened: Sequence[int], pidfd: int, tell: Tell, until: float) -> None:
    """Measure one run's folders, files it has unlinked, and memory where asked; report it if they take more than they may.

    until: as in folders.measure(); memory is measured only if there is time for it without end.
    """
    if run.memory and until == inf and pidfd >= 0 and sum(map(memory_of, tree_of(pid_of(pidfd)))) > run.memory:
        tell(Measured(number=run.number, excess="memory"))
    size = sum(folders.measure(one, run.most, until) for one in opened)
    size += measure_unlinked(tree_of(pid_of(pidfd)), os.fstat(opened[0]).st_dev, until) if pidfd >= 0 else 0
    if size > run.most:
        tell(Measured(number=run.number, excess="disk"))


def _count_locks(runs: Sequence[tuple[Bound, int]], tell: Tell, among: int) -> None:
    """Report each of these runs, given with their pidfds, that holds too many locks. among: how many runs are live.

    Linux lists one processor's locks after another's, and reading on takes the longer the more there are. So only as
    many are read as show one such run behind all others, if each of those holds as many as it may.
    """
    with suppress(OSError), open("/proc/locks", "rb") as locks:
        holders = Counter(int(line.split()[-4]) for line in islice(locks, (1 + among) * LOCKS_MOST))
        for run, pidfd in runs if holders.total() > LOCKS_MOST else ():
            if sum(holders[pid] for pid in tree_of(pid_of(pidfd))) > LOCKS_MOST:
                tell(Measured(number=run.number, excess="locks"))
