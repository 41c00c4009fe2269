"""Makes a run's process through the template, and cleans up after its death (acts).

The kernel's end of the sockets to the template, and to each run until that has joined the bus. It never forks and never
blocks: a run gets one launch packet, and its answers arrive through the loop.
"""

import os
import signal
import sys
from collections import deque
from collections.abc import Container, Sequence
from contextlib import suppress
from socket import socket
from typing import TYPE_CHECKING, Final, TypeAlias

from kernel import NAMED_STARTER, descriptors, output
from kernel.folders import opened, opened_root
from kernel.home import Home
from kernel.loop import Loop
from kernel.process_tree import tree_of
from kernel.runs import Run
from manifests import schema
from manifests.calls import lodging
from manifests.lives import too_much_memory
from manifests.rlimits import rlimits_of
from manifests.values import uid_of
from wire import launch as packets
from wire.errors import CodecError
from wire.launch import encode

if TYPE_CHECKING:
    from kernel.core import Kernel

TEMPLATE: Final = "kernel.process.template"
PRELOAD: Final = "runtime.preload:preload"
SERVE: Final = "runtime.main:join"
"""The template's module, what it imports before it forks, and where the runtime begins in a run. Given by name: the kernel
imports nothing of the runtime."""

_AGAIN: Final = 0.005  # seconds until a template that had no room is asked again


Started: TypeAlias = tuple[socket, int]
"""A template that is warming up: the kernel's end of its socket, and its process."""


def start_template(home: Home) -> Started:
    """Start a template, which warms up by itself. The kernel adopts its orphans."""
    from kernel.process.confine import ADOPT_ORPHANS, control

    control(ADOPT_ORPHANS)
    end, theirs = descriptors.pair()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    reach = {sys.prefix, sys.base_prefix, root, home.at("scratch"), home.at("state")}
    place = os.stat(home.path)
    names = f"{root}/runtime/__pycache__/names.{sys.implementation.cache_tag}"
    start = [
        sys.executable, "-s", "-S", "-P", "-c", NAMED_STARTER, _legible(names), ":".join(filter(None, sys.path)), TEMPLATE,
        "3", PRELOAD, names, f"maniple-{place.st_dev:x}-{place.st_ino:x}", *sorted(reach),
    ]  # fmt: skip
    environment = {"PYTHONHASHSEED": str(home.identity.hash_seed), "PYTHONUTF8": "1"}
    pass_on = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)]
    pid = os.posix_spawn(sys.executable, start, environment, file_actions=pass_on)
    theirs.close()
    return end, pid


def _legible(path: str) -> str:
    """This file, or an empty one if it cannot be read."""
    return path if os.path.isfile(path) and os.access(path, os.R_OK) else os.devnull


class Launcher:
    """The present template, and the runs that it forked."""

    def __init__(self, home: Home, loop: Loop, owner: "Kernel", server_key: bytes, template: Started) -> None:
        self._home, self._loop, self._owner, self._server_key = home, loop, owner, server_key
        self._runs: dict[int, Run] = {}
        self._numbers = 0
        self._queue: deque[tuple[Run, packets.Launch, tuple[int, ...]] | str] = deque()
        self._scratch = os.open(home.at("scratch"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.follow(template)

    def follow(self, template: Started) -> None:
        """Fork runs from this template from now on. Those that are asked for before it is warm wait."""
        self._template, self._pid = template
        self._is_warm, self._pidfd = False, -1
        self._loop.watch(self._template.fileno(), self._hear_template)

    def _hear_template(self) -> None:
        packet, passed = b"", list[int]()
        with suppress(OSError):
            packet, passed = descriptors.receive(self._template)
        if not packet:
            self._template_gone()
            return
        match packets.decode_template(packet):
            case packets.Warm(pid=pid) if passed:
                self._adopt_template(pid, passed[0])
            case packets.Warm():
                self._is_warm = True
                self._go_on()
            case packets.Born(number=number, pid=0, why=why):
                self._runs[number].unfit = f"no process could be made: {why}"
                self._end(number, -1)
            case packets.Born(number=number):
                self._born(self._runs[number], passed[0])
            case packets.Grouped(number=number, why="") if number in self._runs:
                self._runs[number].grouped = True
                self._let_go(self._runs[number])
            case packets.Grouped(number=number, why=why) if number in self._runs:
                self._owner.supervisor.end_as_unfit(self._runs[number], f"layer: {why}")
            case packets.Measured(number=number) if number in self._runs:
                self._owner.watch.measured(self._runs[number])
            case packets.Died(number=number, status=status, cpu=cpu, memory=memory, was_full=was_full):
                run = self._runs[number]
                run.cpu, run.memory = cpu, memory
                if was_full:
                    run.unfit = run.unfit or too_much_memory(run.hand.package.manifest)
                self._end(number, status)

    def _adopt_template(self, pid: int, pidfd: int) -> None:
        """The process that was exec'd made process 1 and may leave; then process 1 is the kernel's own child."""
        with suppress(OSError):  # both were killed, which the socket tells
            descriptors.send(self._template, b"leave")
        os.waitpid(self._pid, 0)
        self._pid, self._pidfd = pid, pidfd
        with suppress(OSError):
            descriptors.send(self._template, b"go")

    def _template_gone(self) -> None:
        self.close()
        left = os.listdir(self._scratch)  # some of it the template may have been about to remove
        orders, self._queue = self._queue, deque()
        for order in orders:
            descriptors.close_all(() if isinstance(order, str) else order[2])
        for number in list(self._runs):
            self._end(number, -1)
        for name in left:
            if name not in self._queue and name not in self._owner.runs:
                self._remove_scratch(name)
        self._owner.template_gone()

    def close(self) -> None:
        """End the template, and so whatever still runs."""
        self._loop.forget(self._template.fileno())
        self._template.close()
        self._is_warm = False
        if self._pidfd >= 0:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            os.close(self._pidfd)
        os.waitpid(self._pid, 0)

    def launch(self, run: Run, *, files: dict[str, str], settings: dict[str, object], roots: dict[str, str]) -> None:
        """Start a run's process. Raises OSError for a folder that cannot be opened."""
        hand, manifest = run.hand, run.hand.package.manifest
        self._numbers += 1
        run.number = self._numbers
        if os.geteuid() == 0:
            run.uid = uid_of(self._home.identity.hash_seed, hand.number, run.number if hand.is_task else None)
        passing = {"hand": opened(self._home.at("hands", hand.folder))}
        try:
            lender = lodging(run.work, manifest, self._owner.runs)
            if lender is None:
                if run.tape is not None and run.tape.count:
                    self._renew(run)
                scratch = self._own_folder("scratch", run.id, run.uid)
            else:
                run.scratch, scratch = lender.scratch, self._home.at("scratch", lender.scratch)
                os.chmod(scratch, 0o700)  # an earlier one may have closed it to its owner
            state = "" if hand.is_task else self._own_folder("state", hand.id, run.uid)
            for name, path in roots.items() if manifest.confinement.roots else ():
                with suppress(FileNotFoundError, NotADirectoryError):  # without it, as who asks for it is told
                    passing[f"root:{name}"] = opened_root(path)
                if run.uid is not None and "mounts" not in passing:  # it maps their ids where they are
                    passing["mounts"] = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            if hand.artefact is not None:
                passing["artefact"] = os.open(self._home.at("compiled", hand.artefact.key), os.O_NONBLOCK)
            output.trim(self._home, hand.name, manifest.limits.file_size)
            passing["output"] = output.opened(self._home, hand.name)
            passing["bus"] = os.open(self._home.at("run", "bus"), os.O_PATH | os.O_CLOEXEC)
            packet = packets.Launch(
                run=run.began.run if run.began else run.id, hand=hand.id, name=hand.name, version=hand.version,
                manifest=schema.encode(manifest), files=files, settings=settings, uid=run.uid,
                rlimits=rlimits_of(manifest, run.before), server_key=self._server_key, serve=SERVE, seed=run.seed,
                clock=run.clock, scratch=scratch, state=state,
                require=self._home.identity.require, descriptors=tuple(passing),
                artefact=hand.artefact.digest if hand.artefact is not None else "",
            )  # fmt: skip
        except OSError:
            descriptors.close_all(list(passing.values()))
            raise
        self._runs[run.number] = run
        self._order((run, packet, tuple(passing.values())))

    def kill(self, run: Run, number: int) -> None:
        """Send a signal to the run's first process, if it has one; KILL ends its whole PID namespace."""
        if run.pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(run.pidfd, number)

    def apply_pause(self, run: Run) -> None:
        """Stop or continue all processes of a run; parents before children, so that none escapes in between."""
        number = signal.SIGSTOP if run.paused else signal.SIGCONT
        self.kill(run, number)
        for pid in tree_of(run.pid):
            if pid != run.pid:
                with suppress(OSError):  # it has ended
                    os.kill(pid, number)

    def measure(self, runs: Sequence[Run]) -> None:
        """Have the folders of runs measured; their owner is told which take too much, if the template can be asked now.

        runs: so many that their folders' descriptors fit into one packet.
        """
        if not self._is_warm:  # it takes what it hears before that for something else
            return
        found, asked = list[int](), list[packets.Bound]()
        for run in runs:
            names = [("scratch", run.scratch)] + ([] if run.is_task else [("state", run.hand.id)])
            before = len(found)
            with suppress(OSError):  # the next look asks again
                found += (opened(self._home.at(*name), os.O_PATH) for name in names)  # closed to its user, maybe
            if mine := len(found) - before:
                asked.append(packets.Bound(number=run.number, folders=mine, most=run.hand.package.manifest.limits.disk))
        with suppress(OSError):  # no room, or it is gone: as above
            descriptors.send(self._template, encode(packets.Measure(runs=tuple(asked))), found, wait=False)
        descriptors.close_all(found)

    def sweep(self, but: Container[str]) -> None:
        """Remove the scratch folders that runs of an earlier kernel left behind; but for those of runs that go on."""
        for name in os.listdir(self._scratch):
            if name not in but:
                self._order(name)

    def discard(self, folder: str) -> None:
        """Remove a folder of `hands/`: it is moved away in one step, and the template removes what it holds."""
        aside = f"{folder}.{os.urandom(4).hex()}"
        try:
            os.rename(self._home.at("hands", folder), aside, dst_dir_fd=self._scratch)
        except OSError:  # it is gone, or scratch lies on another disk
            from shutil import rmtree

            rmtree(self._home.at("hands", folder), ignore_errors=True)
        else:
            self._order(aside)

    def _order(self, order: tuple[Run, packets.Launch, tuple[int, ...]] | str) -> None:
        """Queue an order for the template: a run to fork, or the name of a scratch folder to remove."""
        self._queue.append(order)
        if len(self._queue) == 1:
            self._go_on()

    def _go_on(self) -> None:
        """Send queued orders without blocking: a template whose socket is full may be waiting for this very kernel."""
        while self._is_warm and self._queue:
            order = self._queue[0]
            try:
                if isinstance(order, str):
                    descriptors.send(self._template, encode(packets.Sweep(name=order)), [self._scratch], wait=False)
                else:
                    self._fork(*order)
            except OSError:  # no room; or it is gone, which its socket tells
                self._loop.after(_AGAIN, self._go_on)
                return
            self._queue.popleft()

    def _fork(self, run: Run, launch: packets.Launch, passing: tuple[int, ...]) -> None:
        manifest = run.hand.package.manifest
        alone = manifest.hand.isolation == "exec"
        usual = manifest.confinement.network == "none" and "mounts" not in launch.descriptors
        talk, theirs = descriptors.pair()
        try:
            fork = encode(packets.Fork(number=run.number, isolated=alone, usual=usual, memory=launch.rlimits.memory))
            descriptors.send(self._template, fork, [theirs.fileno()], wait=False)
        except OSError:
            talk.close()
            raise
        finally:
            theirs.close()
        try:
            descriptors.send(talk, encode(launch), passing, wait=False)
        except (OSError, CodecError) as error:
            run.unfit = f"it could not be told what to be: {error}"
            talk.close()
        else:
            run.talk = talk
            self._loop.watch(talk.fileno(), lambda: self._hear(run, talk))
        descriptors.close_all(passing)

    def _born(self, run: Run, pidfd: int) -> None:
        run.pidfd, run.pid = pidfd, descriptors.pid_of(pidfd)
        if run.ended:  # it was told to end before it was born
            self.kill(run, signal.SIGKILL)
        elif run.paused:
            self.apply_pause(run)

    def _hear(self, run: Run, talk: socket) -> None:
        try:
            raw, passed = descriptors.receive(talk)
            descriptors.close_all(passed)
            match packets.decode(raw) if raw else None:
                case packets.Joining(public=public) if not run.ended:
                    self._owner.joining(run, public)
                    descriptors.send(talk, encode(packets.Go()))
                    return
                case packets.Confined() as how:
                    self._owner.confined(run, how)
                    self._let_go(run)
                    return
                case packets.Unfit(code=code, why=why):
                    run.unfit = f"{code}: {why}"
        except (OSError, CodecError):
            pass  # it is not what it should be, or gone: its process's end tells
        self._end_talk(run)

    def _let_go(self, run: Run) -> None:
        """Let the Hand's code begin once the run has every layer, its control group too, which is joined beside its start."""
        if run.talk is not None and run.applied and (run.grouped or "cgroup" not in run.applied):
            with suppress(OSError):  # it is gone: its process's end tells
                descriptors.send(run.talk, encode(packets.Go()))
            self._end_talk(run)

    def _end_talk(self, run: Run) -> None:
        if run.talk is not None:
            self._loop.forget(run.talk.fileno())
            run.talk.close()
            run.talk = None

    def _end(self, number: int, status: int) -> None:
        """Take away the last traces of a run's process, and tell its owner."""
        run = self._runs.pop(number)
        if run.talk is not None:  # why it did not start may lie there still
            run.talk.setblocking(False)
            self._hear(run, run.talk)
        descriptors.close_all([run.pidfd] if run.pidfd >= 0 else [])
        run.pid, run.pidfd = 0, -1
        self._owner.supervisor.process_ended(run, status)

    def clear(self, run: Run) -> None:
        """Take away the scratch folder of a run that has ended, with or without a process, unless others work in it."""
        if all(other.scratch != run.scratch for other in [*self._runs.values(), *self._owner.runs.values()]):
            self._remove_scratch(run.scratch)

    def _remove_scratch(self, name: str) -> None:
        try:
            os.rmdir(name, dir_fd=self._scratch)
        except FileNotFoundError:
            pass
        except OSError:
            self._order(name)

    def _renew(self, run: Run) -> None:
        """Give a run's next process what its first had, an empty scratch folder; as it is, when others write there for it."""
        if self._owner.catalogue.lends(run.grants):
            with suppress(FileNotFoundError):
                run.uid = run.uid and os.lstat(self._home.at("scratch", run.id)).st_uid
            return
        aside = f"{run.id}.{os.urandom(4).hex()}"
        try:
            os.rename(run.id, aside, src_dir_fd=self._scratch, dst_dir_fd=self._scratch)
        except FileNotFoundError:
            return
        self._order(aside)

    def _own_folder(self, kind: str, name: str, uid: int | None) -> str:
        path = self._home.at(kind, name)
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
        if uid is not None and os.lstat(path).st_uid != uid:
            os.chown(path, uid, uid, follow_symlinks=False)
        return path
