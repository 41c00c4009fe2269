"""The template: a warm process from which every run is forked (acts). Kernel code, in a process of its own.

Started by exec, so there is no key of the kernel in its memory; process 1 of its own PID namespace, so its death ends
every run; dead as soon as the kernel is (parent-death signal, and end of file on its socket). To it a run is a number
and a descriptor. What it preloads is named to it as an argument, so that the kernel imports nothing of the runtime.

    python -c NAMED_STARTER NAMES SEARCH-PATH kernel.process.template SOCKET PRELOAD NAMES GROUP FOLDER…

NAMES is the file of the names that a run uses, as the template before this one found them; GROUP is the name of the
control group of all runs, FOLDER what runs must be able to reach.

The process that is exec'd here makes the namespace, forks process 1 of it and leaves; the kernel hears of process 1 by
Warm. It never starts a thread, a zmq context or a wasm engine: none of these survives a fork.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pkgutil import resolve_name
from typing import Final, NoReturn

from msgspec.structs import replace

from kernel import folders
from kernel.descriptors import close_all, receive, send
from kernel.process import cgroup, confine, machine, measuring, mounts
from kernel.process.child import call_filter, run
from kernel.process.spare import Spares
from manifests.confinement.plan import Machine
from wire.launch import Born, Died, Fork, Grouped, Measure, Measured, Sweep, Warm, decode_template, encode

_AGAIN: Final = 0.1  # seconds until what no process could be made for is tried again


def main(arguments: list[str]) -> None:
    """Become the template that the arguments describe; never returns."""
    number, preload, names, group, *paths = arguments
    end = socket.socket(fileno=int(number))
    end.set_inheritable(False)
    os.environ.clear()
    os.umask(0o077)
    rehearse, settle = resolve_name(preload)(names)  # now: the kernel reads its log meanwhile
    root = os.geteuid() == 0
    if not root:
        confine.own_user_namespace()
    confine.unshare(confine.NEWPID)
    alive, held = os.pipe()
    if first := os.fork():
        _tell(end, Warm(pid=first), [os.pidfd_open(first)])
        receive(end)  # the kernel knows the inner one
        os.write(held, b".")
        os._exit(0)
    os.close(held)
    if not os.read(alive, 1):  # the outer process was killed, and this one would take for its own what it had not heard
        os._exit(0)
    os.read(alive, 1)  # it is leaving, and reads nothing more
    os.close(alive)
    if not receive(end)[0]:  # it is gone, and the kernel is this one's parent
        os._exit(0)  # or gone too
    confine.control(confine.DIE_WITH_PARENT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.setsid()
    if root:
        mounts.leave(["mount"])
        os.umask(0o022)
        mounts.make_reachable(paths)
        os.umask(0o077)
    found = replace(machine.probe(), cgroup=cgroup.prepare(group) if root else "")
    if found.seccomp:
        call_filter(found.architecture, frozenset())
    settle()
    Template(end, found, rehearse).serve()


class Template:
    """The template's loop: one socket to the kernel, one pidfd per live run, one epoll."""

    def __init__(self, end: socket.socket, found: Machine, rehearse: Callable[[], object]) -> None:
        self._end, self._machine = end, found
        self._runs: dict[int, tuple[int, int, str]] = {}  # pidfd → run's number (0: none's), pid, its group's name
        self._spares = Spares(found, self._forked, rehearse)
        self._unswept: deque[str] = deque()
        self._scratch = -1
        self._measure = partial(measuring.measure, os.memfd_create("marks"), partial(_tell, end))
        self._epoll = select.epoll()
        self._epoll.register(end.fileno(), select.EPOLLIN)
        self._own_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        _tell(end, Warm(pid=os.getpid()))

    def serve(self) -> None:
        """Fork and reap until the kernel is gone."""
        while True:
            for descriptor, _ in self._epoll.poll(_AGAIN if self._unswept else self._spares.due_in()):
                if descriptor == self._end.fileno():
                    self._obey()
                else:
                    self._reap(descriptor)
            self._sweep()
            if (spare := self._spares.tend()) is not None:
                self._watch(spare.pidfd, 0, spare.pid)

    def _obey(self) -> None:
        packet, descriptors = receive(self._end)
        if not packet:
            os._exit(0)
        match decode_template(packet):
            case Fork() as fork:
                self._begin(fork, descriptors[0])
            case Sweep(name=name):
                self._unswept.append(name)
                self._scratch = os.dup(descriptors[0]) if self._scratch < 0 else self._scratch
            case Measure(runs=runs):
                living = {number: pidfd for pidfd, (number, *_) in self._runs.items() if number}
                self._in_child(partial(self._measure, runs, descriptors, living))
        close_all(descriptors)

    def _begin(self, fork: Fork, talk: int) -> None:
        """Begin a run: in the process that stands ready for one, or in a new one."""
        spare = self._spares.take(talk, fork.memory) if fork.usual and not fork.isolated else None
        self._spares.wanted()
        if spare is not None:
            self._runs[spare.pidfd] = (fork.number, spare.pid, spare.group)
            _tell(self._end, Born(number=fork.number, pid=spare.pid), [spare.pidfd])
            if self._machine.cgroup:
                _tell(self._end, Grouped(number=fork.number))
            return
        try:
            pid, pidfd = self._forked(lambda: run(talk, isolated=fork.isolated, found=self._machine))
        except OSError as error:
            _tell(self._end, Born(number=fork.number, pid=0, why=str(error)))
            return
        _tell(self._end, Born(number=fork.number, pid=pid), [pidfd])
        self._watch(pidfd, fork.number, pid)
        if self._machine.cgroup and not self._in_child(partial(self._group, fork.number, pid, pidfd, fork.memory)):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    def _forked(self, live: Callable[[], NoReturn]) -> tuple[int, int]:
        """The pid and pidfd of a new process in a PID namespace of its own, which does `live`. Raises OSError."""
        confine.unshare(confine.NEWPID)
        try:
            pid = os.fork()
            if pid == 0:
                live()
        finally:
            confine.enter(self._own_namespace, confine.NEWPID)
        try:
            return pid, os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    def _group(self, number: int, pid: int, pidfd: int, memory: int) -> None:
        """Bound a run's memory, or tell why that cannot be."""
        try:
            cgroup.move(self._machine.cgroup, str(number), pid, memory)
        except OSError as error:
            with contextlib.suppress(ProcessLookupError):  # it has ended already
                signal.pidfd_send_signal(pidfd, 0)
                if not isinstance(error, ProcessLookupError):
                    _tell(self._end, Grouped(number=number, why=f"cgroup: {error}"))
            return
        _tell(self._end, Grouped(number=number))

    def _sweep(self) -> None:
        """Have removed what is to be removed, as far as processes can be made for it."""
        while self._unswept and self._in_child(partial(folders.remove, self._unswept[0], self._scratch)):
            self._unswept.popleft()
        if not self._unswept and self._scratch >= 0:
            os.close(self._scratch)
            self._scratch = -1

    def _in_child(self, act: Callable[[], object]) -> bool:
        """Do what may take a while in a process of its own; False, and not at all, when none can be made."""
        try:
            pid = os.fork()
        except OSError:
            return False
        if pid == 0:
            try:
                act()
            except OSError:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(0)
        self._watch(os.pidfd_open(pid), 0, pid)
        return True

    def _watch(self, pidfd: int, number: int, pid: int) -> None:
        self._runs[pidfd] = (number, pid, str(number))
        self._epoll.register(pidfd, select.EPOLLIN)

    def _reap(self, pidfd: int) -> None:
        number, pid, group = self._runs.pop(pidfd)
        self._epoll.unregister(pidfd)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        if number:
            cpu, memory = round((usage.ru_utime + usage.ru_stime) * 1_000_000), usage.ru_maxrss * 1024
            was_full = bool(self._machine.cgroup) and cgroup.leave(self._machine.cgroup, group)
            _tell(self._end, Died(number=number, status=status, cpu=cpu, memory=memory, was_full=was_full))
        else:
            self._spares.died(pidfd)


def _tell(end: socket.socket, packet: Warm | Born | Grouped | Died | Measured, descriptors: Sequence[int] = ()) -> None:
    """Tell the kernel something; when it is gone, so is this process."""
    try:
        send(end, encode(packet), descriptors)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)
