"""Ends runs that take more memory or disk than they may, in all their processes and files together (acts).

Looked at once a second, for what no limit of the system bounds: the room of many files on a disk, and, where no control
group can be made or before it is, the memory of many processes. Where there is none, a run's `lacking` names the layer
"cgroup": this is the weaker way. What a process shared with the template when it was made counts for none; what it shares
with others counts once, where this user may see that. Folders are measured by the template's children.

Ends paused runs as well that do not stand still: of two processes of a run, each can wake the other again.
"""

from functools import partial
from typing import TYPE_CHECKING, Final

from kernel.family import family, held, resident, stirs
from kernel.runs import Run
from manifests.lives import NOT_STILL, too_much_disk, too_much_memory

if TYPE_CHECKING:
    from kernel.core import Kernel

EVERY: Final = 1.0
"""Seconds."""


class Watch:
    """The looks at all runs."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel

    def begin(self, run: Run) -> None:
        """Watch a run from now, when no code of its Hand has run, to its end."""
        self._kernel.loop.after(EVERY, partial(self._look, run, resident(run.pid), -1.0, False))

    def _look(self, run: Run, shared: int, before: float, stirred: bool) -> None:
        """shared: bytes of each process that are the template's. At the last look: before, processor time; stirred, whether
        it was paused and did not stand still.

        A run whose first process did nothing since then, and had no other, holds what it held.
        """
        if run.id not in self._kernel.runs:
            return
        if stirs_now := run.paused and not run.ended and any(map(stirs, family(run.pid))):
            if stirred:
                self._end(run, NOT_STILL)
                return
            self._kernel.launcher.stand_still(run)
        used = run.cpu_seconds()
        if used != before:
            most, processes = run.hand.package.manifest.limits, list(family(run.pid))
            if sum(max(0, resident(one) - shared) for one in processes) > most.memory and held(processes) > most.memory:
                self._end(run, too_much_memory(run.hand.package.manifest))
                return
            self._kernel.launcher.measure(run, most.disk)
            used = used if len(processes) == 1 else -1.0
        self._kernel.loop.after(EVERY, partial(self._look, run, shared, used, stirs_now))

    def measured(self, run: Run, size: int) -> None:
        """What a run's own folders take, in bytes."""
        if size > run.hand.package.manifest.limits.disk:
            self._end(run, too_much_disk(run.hand.package.manifest))

    def _end(self, run: Run, why: str) -> None:
        run.unfit = run.unfit or why
        self._kernel.supervisor.kill(run, run.unfit)
