"""Ends runs that take more memory, disk or time than they may, in all their processes and files together (acts).

Each is looked at once a second, for what no limit of the system bounds: the room of many files on a disk, the processor
time of many processes, each of which begins at nothing, and, where no control group can be made or before it is, their
memory. Where there is none, a run's `lacking` names the layer "cgroup": this is the weaker way. What a process shared with
the template when it was made counts for none; what it shares with others counts once, where this user may see that. Time
counts that living processes have used, or that was added to them when they waited for others. Folders are measured by
children of the template's, one for those of many runs.

Ends paused runs as well that do not stand still: of two processes of a run, each can wake the other again.

And ends whoever fills the kernel's own memory: libzmq bounds a frame, but not how many a message has, and keeps all of
them until the last one comes. Whose message is as large as that has bytes on their way at look after look, and it never is
whole. Frames that share one piece of memory cost their sender next to none.
"""

import os
from functools import partial
from typing import TYPE_CHECKING, Final

from kernel.process_tree import cpu_of_descendants, held, is_running, resident, tree_of
from kernel.runs import Run
from manifests.lives import NOT_STILL, too_long, too_much_disk, too_much_memory

if TYPE_CHECKING:
    from kernel.core import Kernel

EVERY: Final = 1.0
LOT: Final = 50
LOTS: Final = 20
"""Seconds; runs that are looked at together, so that one process measures their folders; lots of them, spread over the second
so that nobody waits while a thousand are looked at."""

GROWN: Final = 128 * 1024 * 1024
"""Bytes that the kernel may hold beyond what it held when its first run began, before it looks who fills it."""

CALM, CLOSER = 0.25, 0.1
STUCK: Final = 5
"""Seconds between looks at its own memory while there are runs, which fill it by hundreds of megabytes a second, and while
it has grown so much; and how many of these may see bytes on their way from a peer without a whole message between:
more time than a body takes, however busy the machine is."""


class Watch:
    """The looks at all runs."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel, self._calm, self._taken, self._is_looking = kernel, 0, 0, False
        self._unmeasured: list[Run] = []

    def begin(self, run: Run) -> None:
        """Watch a run from now, when no code of its Hand has run, to its end."""
        if not self._is_looking:
            self._is_looking, self._calm = True, self._calm or resident(os.getpid())
            self._kernel.loop.after(CALM, self._look_at_itself)
        self._kernel.loop.after(self._due_in(run), partial(self._look, run, resident(run.pid), -1.0, False))

    def _due_in(self, run: Run) -> float:
        """Seconds until a run's lot is next looked at."""
        phase = run.number // LOT % LOTS * EVERY / LOTS
        return EVERY - (self._kernel.loop.now() - phase) % EVERY

    def _look(self, run: Run, shared: int, before: float, stirred: bool) -> None:
        """shared: bytes of each process that are the template's. At the last look: before, processor time; stirred, whether
        it was paused and did not stand still.

        A run whose first process did nothing since then, and had no other, holds what it held.
        """
        if self._kernel.runs.get(run.id) is not run:
            return
        if stirs_now := run.paused and not run.ended and any(map(is_running, tree_of(run.pid))):
            if stirred:
                self._kernel.supervisor.end_as_unfit(run, NOT_STILL)
                return
            self._kernel.launcher.stand_still(run)
        used = run.first_cpu()
        if used != before:
            manifest, processes = run.hand.package.manifest, list(tree_of(run.pid))
            most, run.beside = manifest.limits.memory, max(run.beside, cpu_of_descendants(processes))
            why = too_long(manifest, run.before + int(run.cpu_seconds() * 1_000_000))
            if sum(max(0, resident(one) - shared) for one in processes) > most and held(processes) > most:
                why = too_much_memory(manifest)
            if why:
                self._kernel.supervisor.end_as_unfit(run, why)
                return
            if not self._unmeasured:
                self._kernel.loop.after(0.0, self._measure)
            self._unmeasured.append(run)
            used = used if len(processes) == 1 else -1.0
        due = self._due_in(run)  # a timer may be early by less than the clock can tell
        due += EVERY if due < EVERY / 2 else 0.0
        self._kernel.loop.after(due, partial(self._look, run, shared, used, stirs_now))

    def _measure(self) -> None:
        """Have the folders measured of all that were looked at together."""
        runs, self._unmeasured = self._unmeasured, []
        for at in range(0, len(runs), LOT):
            self._kernel.launcher.measure(runs[at : at + LOT])

    def measured(self, run: Run, size: int) -> None:
        """What a run's own folders take, in bytes."""
        if size > run.hand.package.manifest.limits.disk:
            self._kernel.supervisor.end_as_unfit(run, too_much_disk(run.hand.package.manifest))

    def _look_at_itself(self) -> None:
        """Whether the kernel grows, and if so by whom.

        A look counts when every whole message that had come by the last one was read since, as the bus takes turns.
        """
        kernel, bus, is_large = self._kernel, self._kernel.bus, resident(os.getpid()) > self._calm + GROWN
        self._is_looking = bool(kernel.runs)
        if self._is_looking:
            kernel.loop.after(CLOSER if is_large else CALM, self._look_at_itself)
        if is_large and (not bus.router.poll(0) or bus.taken - self._taken >= len(kernel.peers)):
            self._taken = bus.taken
            for run in [one for one in kernel.runs.values() if not one.paused and bus.is_coming(one.link)]:
                if run.state == "left":
                    self._kernel.supervisor.end_as_unfit(run, "it went on sending when it had said that it leaves")
                elif (peer := run.peer) is not None:
                    peer.looks += 1
                    if peer.looks > STUCK:
                        kernel.links.end(peer, "flood", "a message that does not come to its end")
