"""The template: a warm process from which every run is forked (acts). Kernel code, in a process of its own.

It is started by exec, so there is no key of the kernel in its memory. It is process 1 of its own PID namespace, so its death
ends every run; it dies with the kernel (parent-death signal, and end of file on its socket). It knows a run only as a number
and a descriptor. What it preloads is named by an argument, so that the kernel imports nothing of the runtime.

    python -c NAMED_STARTER NAMES SEARCH-PATH kernel.process.template SOCKET PRELOAD NAMES GROUP FOLDER…

NAMES is a file of the names that runs use, written by an earlier template; GROUP is the name of the control group of all
runs; each FOLDER must be reachable for runs.

The process that is exec'd makes the namespace, forks its process 1 and leaves; Warm tells the kernel of process 1. The
template never starts a thread, a zmq context or a wasm engine: none of these survives a fork.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pkgutil import resolve_name
from typing import NoReturn

from msgspec.structs import replace

from kernel import folders
from kernel.descriptors import close_all, receive, reopened, send
from kernel.process import cgroup, confine, machine, measuring, mounts
from kernel.process.child import call_filter, run
from kernel.process.spare import Spares
from kernel.process.trimming import trim
from manifests.confinement.plan import Machine
from wire.launch import Born, Died, Fork, Grouped, Measure, Measured, Sweep, Trim, Warm, decode_template, encode

_PAUSE, _AT_ONCE = 0.1, 20
"""Seconds without a packet or a death after which folders are removed, or sooner if there are more than _AT_ONCE: so runs
that end one after another cost one process together, and none that begins has to wait for it."""


def main(arguments: list[str]) -> None:
    """Become the template that the arguments describe. Never returns."""
    number, preload, names, group, *paths = arguments
    end = socket.socket(fileno=int(number))
    end.set_inheritable(False)
    confine.libc.prctl(*confine.NO_HUGE_PAGES, 0, 0, 0)  # where a sandbox refuses this, runs take more memory
    os.environ.clear()
    os.umask(0o077)
    rehearse, settle = resolve_name(preload)(names)  # the kernel reads its log meanwhile
    root = os.geteuid() == 0
    if not root:
        confine.own_user_namespace()
    confine.unshare(confine.NEWPID)
    alive, held = os.pipe()
    if first := os.fork():
        _send(end, Warm(pid=first), [os.pidfd_open(first)])
        receive(end)  # the kernel has the pidfd of process 1
        os.write(held, b".")
        os._exit(0)
    os.close(held)
    if not os.read(alive, 1):  # the outer process was killed, and this one would read the packet meant for it
        os._exit(0)
    os.read(alive, 1)  # end of file: the outer process has ended, and reads no packet
    os.close(alive)
    if not receive(end)[0]:  # the kernel has reaped it, and is the parent of this process now; or is gone
        os._exit(0)
    confine.control(confine.DIE_WITH_PARENT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.setsid()
    if root:
        mounts.leave(["mount"])
        os.umask(0o022)
        mounts.make_reachable(paths)
        os.umask(0o077)
    found = replace(machine.probe(), cgroup=cgroup.prepare(group))
    if found.seccomp:
        call_filter(found.architecture, frozenset())
    settle()
    Template(end, found, rehearse).serve()


class Template:
    """The template's loop: one socket to the kernel, one pidfd per live run, one epoll."""

    def __init__(self, end: socket.socket, found: Machine, rehearse: Callable[[], object]) -> None:
        self._end, self._machine = end, found
        self._runs: dict[int, tuple[int, int, str]] = {}  # by pidfd: the run's number (0: no run), pid, group's name
        self._spares = Spares(found, self._fork, rehearse)
        self._to_remove, self._scratch = list[str](), -1
        self._measure = partial(measuring.measure, os.pipe()[1], partial(_send, end))
        self._epoll = select.epoll()
        self._epoll.register(end.fileno(), select.EPOLLIN)
        self._own_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        _send(end, Warm(pid=os.getpid()))

    def serve(self) -> None:
        """Fork and reap processes until the kernel is gone."""
        while True:
            for descriptor, _ in (events := self._epoll.poll(self._spares.due_in(_PAUSE if self._to_remove else None))):
                if descriptor == self._end.fileno():
                    self._read_packet()
                else:
                    self._reap(descriptor)
            if not events or len(self._to_remove) > _AT_ONCE:
                self._remove_folders()
            if (spare := self._spares.tend()) is not None:
                self._watch(spare.pidfd, 0, spare.pid)

    def _read_packet(self) -> None:
        """Read a packet from the kernel and act on it; exit if the kernel is gone."""
        packet, descriptors = receive(self._end)
        if not packet:
            os._exit(0)
        match decode_template(packet):
            case Fork() as fork:
                self._start_run(fork, descriptors[0])
            case Sweep(name=name):
                self._to_remove.append(name)
                self._scratch = os.dup(descriptors[0]) if self._scratch < 0 else self._scratch
            case Trim(file_size=file_size):
                self._in_child(lambda: trim(file_size, *(reopened(one, os.O_RDWR) for one in descriptors)))
            case Measure(runs=runs):
                living = {number: pidfd for pidfd, (number, *_) in self._runs.items() if number}
                self._in_child(partial(self._measure, runs, descriptors, living))
        close_all(descriptors)

    def _start_run(self, fork: Fork, launch_socket: int) -> None:
        """Start a run, in the spare process or in a new one."""
        spare = self._spares.take(launch_socket, fork.memory) if fork.usual and not fork.isolated else None
        self._spares.wanted()
        if spare is not None:
            self._runs[spare.pidfd] = (fork.number, spare.pid, spare.group)
            _send(self._end, Born(number=fork.number, pid=spare.pid), [spare.pidfd])
            if self._machine.cgroup:
                _send(self._end, Grouped(number=fork.number))
            return
        try:
            pid, pidfd = self._fork(lambda: run(launch_socket, isolated=fork.isolated, found=self._machine))
        except OSError as error:
            _send(self._end, Born(number=fork.number, pid=0, why=str(error)))
            return
        _send(self._end, Born(number=fork.number, pid=pid), [pidfd])
        self._watch(pidfd, fork.number, pid)
        if self._machine.cgroup and not self._in_child(partial(self._group, fork.number, pid, pidfd, fork.memory)):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    def _fork(self, live: Callable[[], NoReturn]) -> tuple[int, int]:
        """Fork a process, in a PID namespace of its own, that calls `live`. Returns its pid and pidfd. Raises OSError."""
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
        """Move a run into its control group, which limits its memory, and tell the kernel so, or why that failed."""
        try:
            cgroup.move(self._machine.cgroup, str(number), pid, memory)
        except OSError as error:
            with contextlib.suppress(ProcessLookupError):  # the run has ended: no need to tell
                signal.pidfd_send_signal(pidfd, 0)
                if not isinstance(error, ProcessLookupError):
                    _send(self._end, Grouped(number=number, why=f"cgroup: {error}"))
            return
        _send(self._end, Grouped(number=number))

    def _remove_folders(self) -> None:
        """Have the queued folders removed by a child process, if one can be made."""
        if self._to_remove and self._in_child(partial(folders.sweep, self._to_remove, self._scratch)):
            self._to_remove.clear()
            os.close(self._scratch)
            self._scratch = -1

    def _in_child(self, act: Callable[[], object]) -> bool:
        """Call `act`, which may take a while, in a child process. Returns False if none can be made."""
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
        """Watch a child process, to reap it. number: the run's, 0 for a process that is no run."""
        self._runs[pidfd] = (number, pid, str(number))
        self._epoll.register(pidfd, select.EPOLLIN)

    def _reap(self, pidfd: int) -> None:
        """Reap a child process that has ended, and report a run's end."""
        number, pid, group = self._runs.pop(pidfd)
        self._epoll.unregister(pidfd)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        if number:
            cpu, memory = round((usage.ru_utime + usage.ru_stime) * 1_000_000), usage.ru_maxrss * 1024
            was_full = bool(self._machine.cgroup) and cgroup.leave(self._machine.cgroup, group)
            _send(self._end, Died(number=number, status=status, cpu=cpu, memory=memory, was_full=was_full))
        else:
            self._spares.on_death(pidfd)


def _send(end: socket.socket, packet: Warm | Born | Grouped | Died | Measured, descriptors: Sequence[int] = ()) -> None:
    """Send the kernel a packet. If the kernel is gone, exit."""
    try:
        send(end, encode(packet), descriptors)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)
