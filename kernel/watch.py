"""Ends runs whose processes and files together take more memory, disk or time than allowed (acts).

Each run is checked once a second, for what no limit of the operating system covers: the disk space of all its files, its
locks on parts of files, the processor time of all its processes, and their memory while they are in no control group. (Where
none can be made, the run's `lacking` names the layer "cgroup": this check is weaker.) Memory that a process shared with the
template at its start does not count; memory shared among processes counts once, where this user may read PSS, up to COUNTED.
Processor time is that of living processes and of children that they reaped. Children of the template, each for many runs,
measure folders, count locks, and find out what processes share.

A paused run is stopped anew at each check, and ended if it goes on in between: one of its processes can continue another,
and a timer of its own can continue any.

A peer that fills the kernel's own memory is ended too. libzmq bounds the size of a frame but not the frames in a message, and
keeps all of them until the last arrives. At check after check, such a peer has bytes waiting but no whole message.
"""

import os
from functools import partial
from typing import TYPE_CHECKING, Final

from kernel.process_tree import COUNTED, cpu_of_descendants, resident, resident_of_all, tree_of
from kernel.runs import Run
from manifests.lives import NOT_STILL, cpu_exceeded_by_all, memory_exceeded

if TYPE_CHECKING:
    from kernel.core import Kernel

EVERY: Final = 1.0
LOT, LOTS = 50, 20
"""EVERY: seconds between two checks of a run. LOT runs are checked together, so that one process measures their folders.
LOTS such groups are spread over the second, so that a thousand runs do not hold up the loop."""

STIRRING: Final = 0.25
"""Seconds of processor time that a run may use between its first check in a pause and the end of that pause: what it had
begun in the system, such as a large write, ends first."""

GROWN: Final = 128 * 1024 * 1024
"""Bytes that the kernel may grow beyond its size at its first run, before it looks for a peer that fills its memory."""

CALM, CLOSER = 0.25, 0.1
STUCK: Final = 5
"""CALM, CLOSER: seconds between checks of the kernel's own memory, while there are runs, and once it has grown by GROWN. A
peer is ended after more than STUCK checks that found bytes from it and no whole message: a body takes less on a busy machine.
"""


class Watch:
    """The checks of all runs, and of the kernel's own memory."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel, self._calm, self._taken, self._is_looking = kernel, 0, 0, False
        self._unmeasured: list[tuple[Run, int]] = []

    def begin(self, run: Run) -> None:
        """Check a run until its end. Call this before any code of its Hand runs."""
        if not self._is_looking:
            self._is_looking, self._calm = True, self._calm or resident(os.getpid())
            self._kernel.loop.after(CALM, self._check_kernel)
        self._kernel.loop.after(self._due_in(run), partial(self._check, run, resident(run.pid), -1.0))

    def _due_in(self, run: Run) -> float:
        """Return the seconds until the next check of a run's group of LOT."""
        phase = run.number // LOT % LOTS * EVERY / LOTS
        return EVERY - (self._kernel.loop.now() - phase) % EVERY

    def _check(self, run: Run, shared: int, before: float) -> None:
        """Check one run. shared: bytes of each process that it shared with the template at its start.

        before: processor time of its first process at the last check, -1.0 if it had others. If it is unchanged, the run has
        done nothing.
        """
        if self._kernel.runs.get(run.id) is not run:
            return
        if run.paused and not run.is_ending:
            self._kernel.launcher.apply_pause(run)
            cpu = run.first_cpu() + cpu_of_descendants(list(tree_of(run.pid)))
            run.still_at = cpu if run.still_at < 0 else run.still_at
            if cpu > run.still_at + STIRRING:
                self._kernel.supervisor.end_as_unfit(run, NOT_STILL)
                return
        used = run.first_cpu()
        if used != before:
            manifest, processes = run.hand.package.manifest, list(tree_of(run.pid))
            most, run.other_cpu = manifest.limits.memory, max(run.other_cpu, cpu_of_descendants(processes))
            why = cpu_exceeded_by_all(manifest, run.earlier_cpu + int(run.cpu_seconds() * 1_000_000))
            size = 0 if "cgroup" in run.applied else resident_of_all(processes, shared)
            why = memory_exceeded(manifest) if size > max(most, COUNTED) else why
            if why:
                self._kernel.supervisor.end_as_unfit(run, why)
                return
            if not self._unmeasured:
                self._kernel.loop.after(0.0, self._measure)
            self._unmeasured.append((run, most if size > most else 0))
            used = used if len(processes) == 1 else -1.0
        due = self._due_in(run)  # a timer may fire slightly early
        due += EVERY if due < EVERY / 2 else 0.0
        self._kernel.loop.after(due, partial(self._check, run, shared, used))

    def _measure(self) -> None:
        """Have the folders measured of the runs that were checked together."""
        runs, self._unmeasured = self._unmeasured, []
        for at in range(0, len(runs), LOT):
            self._kernel.launcher.measure(runs[at : at + LOT])

    def _check_kernel(self) -> None:
        """Check the kernel's own memory. If it has grown, end the peers that fill it.

        A check counts against a peer only if every whole message that had arrived by the last check has been read since.
        """
        kernel, bus, is_large = self._kernel, self._kernel.bus, resident(os.getpid()) > self._calm + GROWN
        self._is_looking = bool(kernel.runs)
        if self._is_looking:
            kernel.loop.after(CLOSER if is_large else CALM, self._check_kernel)
        if is_large and (not bus.router.poll(0) or bus.taken - self._taken >= len(kernel.peers)):
            self._taken = bus.taken
            for run in [run for run in kernel.runs.values() if not run.paused and bus.is_coming(run.link)]:
                if run.state == "left":
                    self._kernel.supervisor.end_as_unfit(run, "it went on sending after its Bye")
                elif (peer := run.peer) is not None:
                    peer.stalled_checks += 1
                    if peer.stalled_checks > STUCK:
                        kernel.links.end(peer, "flood", "a message that does not end")
