"""The spare: a process that stands ready to be the next run, and knows nothing of any Hand (acts).

The template forks it a moment after a run began, when nothing else is to be done, and ends it when for LIFE seconds no
run has begun: with nothing to do there is none. It has done what every usual run does before it needs to know whose run
it is: a PID namespace, closed descriptors, a session, namespaces, a control group, a CURVE key pair. Then it waits for
the descriptor of a launch talk, and is that run; so a run is served by one process, and a process serves one run.
A run that wants other namespaces, or an interpreter of its own, is forked as ever.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from socket import MSG_DONTWAIT, socket
from typing import Final, NamedTuple, NoReturn

from kernel.descriptors import pair, receive, send
from kernel.process import cgroup, child
from manifests.confinement.plan import Machine

PAUSE: Final = 0.02
"""Seconds without a packet or a death before one is made: a run that begins has the processors to itself."""

LIFE: Final = 5.0
"""Seconds without a new run until it is ended."""

_READY: Final = b"."


class Spare(NamedTuple):
    """One that stands ready, or soon will. line: over which it is told; group: the name of its control group."""

    pidfd: int
    pid: int
    line: socket
    group: str


class Spares:
    """At most one. fork: makes a process in a new PID namespace, and gives its pid and pidfd. Raises OSError.

    rehearse: goes through what runs do first in the runtime, so that the memory for it is the process's own already.
    """

    def __init__(
        self, found: Machine, fork: Callable[[Callable[[], NoReturn]], tuple[int, int]], rehearse: Callable[[], object]
    ) -> None:
        self._machine, self._fork, self._rehearse = found, fork, rehearse
        self._spare: Spare | None = None
        self._is_dead = False  # it was found so when it was needed, and its death is not heard of yet
        self._numbers = 0
        self._due: float | None = None

    def due_in(self) -> float | None:
        """Seconds until `tend` has something to do; None for never."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def wanted(self) -> None:
        """A run began: make one after the next pause, or keep the one that is there."""
        self._due = time.monotonic() + (LIFE if self._spare else PAUSE)

    def tend(self) -> Spare | None:
        """Make one, or end the one that nobody needed, when it is time; the new one, whose death `died` is to hear of."""
        if self._due is None or time.monotonic() < self._due:
            return None
        self._due = None
        if self._spare is not None:
            self._spare.line.close()
            return None
        self._numbers += 1
        line, theirs = pair()
        group = f"spare-{self._numbers}"
        try:
            pid, pidfd = self._fork(lambda: _stand_by(theirs, group, self._machine, self._rehearse))
        except OSError:
            line.close()
            return None
        finally:
            theirs.close()
        self._spare = Spare(pidfd, pid, line, group)
        self._due = time.monotonic() + LIFE
        return self._spare

    def take(self, talk: int, memory: int) -> Spare | None:
        """Let the spare be the run whose launch talk this is, with so much memory; None when none stands ready."""
        spare = self._spare
        if spare is None:
            return None
        try:
            if spare.line.recv(1, MSG_DONTWAIT) != _READY:
                self._is_dead = True
                return None
            if self._machine.cgroup:
                cgroup.bound(self._machine.cgroup, spare.group, memory)
            send(spare.line, _READY, [talk])
        except BlockingIOError:
            return None  # it is not ready yet
        except OSError:
            spare.line.close()  # it ends, or has ended
            self._is_dead = True
            return None
        self._spare = None
        spare.line.close()
        return spare

    def died(self, pidfd: int) -> None:
        """Something has ended that was no run; if it was the spare, there is none, and its group is gone.

        One that a run was to be made of is followed by another, as it would have been if it had been used.
        """
        if self._spare is None or self._spare.pidfd != pidfd:
            return
        self._spare.line.close()
        if self._machine.cgroup:
            cgroup.leave(self._machine.cgroup, self._spare.group)
        self._spare, self._due = None, time.monotonic() + PAUSE if self._is_dead else None
        self._is_dead = False


def _stand_by(line: socket, group: str, found: Machine, rehearse: Callable[[], object]) -> NoReturn:
    """Be the spare, and then a run; never returns."""
    try:
        os.dup2(line.fileno(), child.LAUNCH, inheritable=False)
        os.closerange(child.LAUNCH + 1, 1 << 20)
        line.detach()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        rehearse()
        prepared = child.prepare(found.namespaces, is_root=found.is_root)
        if found.cgroup:
            cgroup.enter(found.cgroup, group)
        end = socket(fileno=child.LAUNCH)
        end.send(_READY)
        _, talk = receive(end)
        end.detach()
    except BaseException:  # noqa: BLE001 - whatever it was, the process ends below
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(child.EXIT_UNFIT)
    if not talk:
        os._exit(0)  # it was not needed, or the template is gone
    child.run(talk[0], isolated=False, found=found, prepared=prepared)
