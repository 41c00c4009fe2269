"""The spare: a process that stands ready to become the next run, and knows nothing of any Hand (acts).

The template forks it a moment after a run began, when nothing else is to be done, and ends it after LIFE seconds without a
new run, so that an idle home has none. It has done what every usual run does before it must know which run it is: a PID
namespace, closed descriptors, a session, namespaces, a control group, a CURVE key pair. Then it waits for the descriptor of
a launch socket, and becomes that run; so each process serves one run only. A run that needs other namespaces, or an
interpreter of its own, is forked as usual.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from math import inf
from socket import MSG_DONTWAIT, socket
from typing import Final, NamedTuple, NoReturn

from kernel.descriptors import pair, receive, send
from kernel.process import cgroup, child
from manifests.confinement.plan import Machine

PAUSE: Final = 0.02
"""Seconds without a packet or a death before a spare is made, so that a run that begins has the processors to itself."""

LIFE: Final = 5.0
"""Seconds without a new run after which the spare is ended."""

_READY: Final = b"."


class Spare(NamedTuple):
    """A spare that is ready, or soon will be. line: the template's end of its socket; group: its control group's name."""

    pidfd: int
    pid: int
    line: socket
    group: str


class Spares:
    """Keeps at most one spare. fork: forks a process in a new PID namespace; returns its pid and pidfd, raises OSError.

    rehearse: does what runs do first in the runtime, so that the memory this writes to is the process's own already.
    """

    def __init__(
        self, found: Machine, fork: Callable[[Callable[[], NoReturn]], tuple[int, int]], rehearse: Callable[[], object]
    ) -> None:
        self._machine, self._fork, self._rehearse = found, fork, rehearse
        self._spare: Spare | None = None
        self._is_dead = False  # it was found dead when it was needed, and has not been reaped yet
        self._due: float | None = None

    def due_in(self, most: float | None) -> float | None:
        """Return the seconds until tend() has something to do, or `most`, if that is less; None for never."""
        return most if self._due is None else max(0.0, min(self._due - time.monotonic(), most or inf))

    def wanted(self) -> None:
        """Since a run began, make a spare after the next pause, or keep the present one for LIFE."""
        self._due = time.monotonic() + (LIFE if self._spare else PAUSE)

    def tend(self) -> Spare | None:
        """Make a spare, or end one that was not needed, if due. Returns a new one, whose death goes to on_death()."""
        if self._due is None or time.monotonic() < self._due:
            return None
        self._due = None
        if self._spare is not None:
            self._spare.line.close()
            return None
        line, theirs = pair()
        group = f"spare-{os.urandom(4).hex()}"
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

    def take(self, launch_socket: int, memory: int) -> Spare | None:
        """Let the spare become the run of this launch socket, with this memory limit. Returns None if none is ready."""
        spare = self._spare
        if spare is None:
            return None
        try:
            if spare.line.recv(1, MSG_DONTWAIT) != _READY:
                self._is_dead = True
                return None
            if self._machine.cgroup:
                cgroup.bound(self._machine.cgroup, spare.group, memory)
            send(spare.line, _READY, [launch_socket])
        except BlockingIOError:
            return None  # not ready yet
        except OSError:
            spare.line.close()  # it is ending, or has ended
            self._is_dead = True
            return None
        self._spare = None
        spare.line.close()
        return spare

    def on_death(self, pidfd: int) -> None:
        """After the death of a process that is no run: if it was the spare, forget it and remove its group.

        If a run had needed it, another is made, as if it had been used.
        """
        if self._spare is None or self._spare.pidfd != pidfd:
            return
        self._spare.line.close()
        if self._machine.cgroup:
            cgroup.leave(self._machine.cgroup, self._spare.group)
        self._due = time.monotonic() + PAUSE if self._is_dead else None
        self._spare, self._is_dead = None, False


def _stand_by(line: socket, group: str, found: Machine, rehearse: Callable[[], object]) -> NoReturn:
    """Be the spare, then become a run. Never returns."""
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
        _, launch_socket = receive(end)
        end.detach()
    except BaseException:  # noqa: BLE001 - whatever it was, the process ends below
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(child.EXIT_UNFIT)
    if not launch_socket:
        os._exit(0)  # the spare was not needed, or the template is gone
    child.run(launch_socket[0], isolated=False, found=found, prepared=prepared)
