"""Has the template fork each run's process, and cleans up after its death (acts).

It holds the kernel's end of the socket to the template, and of one to each run until that has joined the bus. It never
forks and never blocks: a run gets one launch packet, and its answers arrive through the loop.
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
from kernel.folders import open_folder, open_root
from kernel.home import Home
from kernel.loop import Loop
from kernel.process_tree import tree_of
from kernel.runs import Run
from manifests import schema
from manifests.calls import lend_scratch
from manifests.installed import Installed
from manifests.lives import limit_exceeded, memory_exceeded
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
"""The template's module, what it imports before it forks, and the runtime's entry point in a run. Given by name, since the
kernel may import nothing of the runtime."""

_RETRY_AFTER: Final = 0.005  # seconds until an order is sent again to a template whose socket was full


Started: TypeAlias = tuple[socket, int]
"""A template that is warming up: the kernel's end of its socket, and its process id."""


def start_template(home: Home) -> Started:
    """Start a template, which warms up by itself. The kernel becomes the parent of its orphans."""
    from kernel.process.confine import ADOPT_ORPHANS, control

    control(ADOPT_ORPHANS)
    end, theirs = descriptors.pair()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    place = os.stat(home.path)
    names = f"{root}/runtime/__pycache__/names.{sys.implementation.cache_tag}"
    start = [  # real paths: runs do not see the links on the way
        os.path.realpath(sys.executable), "-s", "-S", "-P", "-c", NAMED_STARTER, _readable_or_null(names),
        ":".join(map(os.path.realpath, filter(None, sys.path))), TEMPLATE, "3", PRELOAD, names,
        f"maniple-{place.st_dev:x}-{place.st_ino:x}", sys.prefix, sys.base_prefix, root, home.at("scratch"), home.at("state"),
    ]  # fmt: skip
    environment = {"PYTHONHASHSEED": str(home.identity.hash_seed), "PYTHONUTF8": "1"}
    pass_on = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)]
    pid = os.posix_spawn(start[0], start, environment, file_actions=pass_on)
    theirs.close()
    return end, pid


def _readable_or_null(path: str) -> str:
    """Return the path of a file, or of an empty one if that file cannot be read."""
    return path if os.path.isfile(path) and os.access(path, os.R_OK) else os.devnull


class Launcher:
    """The current template, and the runs that it has forked."""

    def __init__(self, home: Home, loop: Loop, owner: "Kernel", server_key: bytes, template: Started) -> None:
        self._home, self._loop, self._owner, self._server_key = home, loop, owner, server_key
        self._runs, self._numbers = dict[int, Run](), 0
        self._queue: deque[tuple[Run, packets.Launch, tuple[int, ...]] | str] = deque()
        self._scratch = os.open(home.at("scratch"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.use_template(template)

    def use_template(self, template: Started) -> None:
        """Fork runs from this template from now on. Orders wait until it is warm."""
        self._pidfd = os.pidfd_open(template[1])
        (self._template, self._pid), self._is_warm = template, False
        self._loop.watch(self._template.fileno(), self._read_template_packet)

    def _read_template_packet(self) -> None:
        """Read a packet from the template and act on it; no packet means that the template is dying."""
        packet, passed = b"", list[int]()
        with suppress(OSError):
            packet, passed = descriptors.receive(self._template)
        if not packet:
            self._is_warm = False
            for run in self._runs.values():
                run.pid = 0  # another process may have it before the template is gone
            self._loop.unwatch(self._template.fileno())
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            self._loop.watch(self._pidfd, self.on_template_death)  # after the last run's, which may take long to end
            return
        match packets.decode_template(packet):
            case packets.Warm(pid=pid) if passed:
                self._adopt_template(pid, passed[0])
            case packets.Warm():
                self._is_warm = True
                self._send_orders()
            case packets.Born(number=number, pid=0, why=why):
                self._runs[number].unfit = f"no process could be made: {why}"
                self._forget_process(number, -1)
            case packets.Born(number=number):
                self._on_birth(self._runs[number], passed[0])
            case packets.Grouped(number=number, why="") if number in self._runs:
                self._runs[number].is_grouped = True
                self._release_when_confined(self._runs[number])
            case packets.Grouped(number=number, why=why) if number in self._runs:
                self._owner.supervisor.end_as_unfit(self._runs[number], f"layer: {why}")
            case packets.Measured(number=number, excess=excess) if number in self._runs:
                run = self._runs[number]
                self._owner.supervisor.end_as_unfit(run, limit_exceeded(excess, run.hand.package.manifest))
            case packets.Died(number=number, status=status, cpu=cpu, memory=memory, was_full=was_full):
                run = self._runs[number]
                run.cpu, run.memory = cpu, memory
                if was_full:
                    run.unfit = run.unfit or memory_exceeded(run.hand.package.manifest)
                self._forget_process(number, status)

    def _adopt_template(self, pid: int, pidfd: int) -> None:
        """Let the process that was exec'd leave: it has forked process 1 of the namespace, the template proper, which then
        becomes the kernel's own child.
        """
        with suppress(OSError):  # both were killed: the socket's end of file says so
            descriptors.send(self._template, b"leave")
        os.waitpid(self._pid, 0)
        os.close(self._pidfd)
        self._pid, self._pidfd = pid, pidfd
        with suppress(OSError):
            descriptors.send(self._template, b"go")

    def on_template_death(self) -> None:
        """Clean up after the death of the template, which ended its runs, or its failed start. Others wait for another."""
        self.close()
        self._forget_runs({order[0].number for order in self._queue if not isinstance(order, str)})
        self._owner.on_template_death()
        if self._owner.is_finishing or self._owner.no_template:
            self._forget_runs(())

    def _forget_runs(self, but: Container[int]) -> None:
        """Forget all runs but these, which are queued, and have every folder removed that no run is left for."""
        orders = [order for order in self._queue if not isinstance(order, str)]
        self._queue = deque(order for order in orders if order[0].number in but)
        descriptors.close_all([one for run, _, passing in orders if run.number not in but for one in passing])
        for number in [one for one in self._runs if one not in but]:
            self._forget_process(number, -1)
        self.remove_stale_scratch(self._owner.runs)  # the template may have had orders to remove some of these

    def close(self) -> None:
        """Kill the template, if there is one, and so every run that is left; wait for its end."""
        if not self._pid:
            return
        self._is_warm = False
        self._loop.unwatch(self._template.fileno())
        self._loop.unwatch(self._pidfd)
        self._template.close()
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        os.close(self._pidfd)
        os.waitpid(self._pid, 0)
        self._pid = 0

    def launch(self, run: Run, *, files: dict[str, str], settings: dict[str, object], roots: dict[str, str]) -> None:
        """Start a run's process. Raises OSError for a folder that cannot be opened."""
        hand, manifest = run.hand, run.hand.package.manifest
        self._numbers += 1
        run.number = self._numbers
        if os.geteuid() == 0:
            run.uid = uid_of(self._home.identity.hash_seed, hand.number, run.number if hand.is_task else None)
        passing = {"hand": open_folder(self._home.at("hands", hand.folder))}
        try:
            lender = lend_scratch(run.work, manifest, self._owner.runs)
            if lender is None:
                if run.tape is not None and run.tape.count:
                    self._prepare_scratch_again(run)
                scratch = self._own_folder("scratch", run.id, run.uid)
            else:
                run.scratch, scratch = lender.scratch, self._own_folder("scratch", lender.scratch, None)
            state = "" if hand.is_task else self._own_folder("state", hand.id, run.uid)
            for name, path in roots.items() if manifest.confinement.roots else ():
                with suppress(FileNotFoundError, NotADirectoryError, PermissionError):  # calls on that root then fail
                    passing[f"root:{name}"] = open_root(path)
                if run.uid is not None and "mounts" not in passing:  # where the run maps the roots' ids
                    passing["mounts"] = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            if hand.artefact is not None:
                passing["artefact"] = os.open(self._home.at("compiled", hand.artefact.key), os.O_NONBLOCK)
            passing["output"] = output.open_output(self._home, hand.name)
            passing |= output.open_longer(self._home, hand.name, manifest.limits.file_size)
            passing["bus"] = os.open(self._home.at("run", "bus"), os.O_PATH | os.O_CLOEXEC)
            packet = packets.Launch(
                run=run.began.run if run.began else run.id, hand=hand.id, name=hand.name, version=hand.version,
                manifest=schema.encode(manifest), files=files, settings=settings, uid=run.uid,
                rlimits=rlimits_of(manifest, run.earlier_cpu), server_key=self._server_key, serve=SERVE, seed=run.seed,
                clock=run.clock, scratch=scratch, state=state,
                require=self._home.identity.require, descriptors=tuple(passing),
                artefact=hand.artefact.digest if hand.artefact is not None else "",
            )  # fmt: skip
        except OSError:
            descriptors.close_all(list(passing.values()))
            self.remove_scratch_of(run)
            raise
        self._runs[run.number] = run
        self._enqueue((run, packet, tuple(passing.values())))

    def kill(self, run: Run, number: int) -> None:
        """Send a signal to a run's first process, if it has one. KILL ends its whole PID namespace."""
        if run.pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(run.pidfd, number)

    def apply_pause(self, run: Run) -> None:
        """Stop or continue all processes of a run, parents before children, so that no new child escapes."""
        number = signal.SIGSTOP if run.paused else signal.SIGCONT
        self.kill(run, number)
        for pid in tree_of(run.pid):
            if pid != run.pid:
                with suppress(OSError):  # ended meanwhile
                    os.kill(pid, number)

    def measure(self, runs: Sequence[tuple[Run, int]]) -> None:
        """Have the template measure the folders of these runs, if it can take the order now. It answers with Measured.

        runs: with the memory that a run may have, if that is to be measured, too; few enough for their folders' descriptors
        to fit into one packet.
        """
        if not self._is_warm:  # until then it reads packets of another kind
            return
        found, asked = list[int](), list[packets.Bound]()
        for run, memory in runs:
            names = [("scratch", run.scratch)] + ([] if run.is_task else [("state", run.hand.id)])
            before = len(found)
            with suppress(OSError):  # as in _ask()
                found += (open_folder(self._home.at(*name), os.O_PATH) for name in names)  # their modes may forbid more
            if mine := len(found) - before:
                disk = run.hand.package.manifest.limits.disk - (run.tape.file.end if run.tape is not None else 0)
                asked.append(packets.Bound(number=run.number, folders=mine, most=disk, memory=memory))
        self._ask(packets.Measure(runs=tuple(asked)), found)

    def trim(self, hand: Installed) -> None:
        """Have the template trim a Hand's file of output, if that is too long and the template can take the order now."""
        size = hand.package.manifest.limits.file_size
        if self._is_warm and (files := output.open_longer(self._home, hand.name, size)):
            self._ask(packets.Trim(file_size=size), list(files.values()))

    def _ask(self, order: packets.Measure | packets.Trim, passing: list[int]) -> None:
        """Send the template an order if it can take it now, and close the descriptors that go with it."""
        with suppress(OSError):  # its socket is full, or it is gone: the next check tries again
            descriptors.send(self._template, encode(order), passing, wait=False)
        descriptors.close_all(passing)

    def remove_stale_scratch(self, but: Container[str]) -> None:
        """Remove the scratch folders that an earlier kernel or template left, except those of runs in `but`, which resume."""
        for name in [one for one in os.listdir(self._scratch) if one not in but]:
            self._enqueue(name)

    def discard(self, folder: str) -> None:
        """Remove a folder of `hands/`: move it aside in one step, and let the template remove it."""
        aside = f"{folder}.{os.urandom(4).hex()}"
        try:
            os.rename(self._home.at("hands", folder), aside, dst_dir_fd=self._scratch)
        except OSError:  # it is gone already, or `scratch` is on another disk
            from shutil import rmtree

            rmtree(self._home.at("hands", folder), ignore_errors=True)
        self._enqueue(aside)

    def _enqueue(self, order: tuple[Run, packets.Launch, tuple[int, ...]] | str) -> None:
        """Queue an order for the template: fork a run, or remove the scratch folder of this name."""
        self._queue.append(order)
        if len(self._queue) == 1:
            self._send_orders()

    def _send_orders(self) -> None:
        """Send queued orders without blocking: a template whose socket is full may itself be waiting for the kernel."""
        while self._is_warm and self._queue:
            order = self._queue[0]
            try:
                if isinstance(order, str):
                    descriptors.send(self._template, encode(packets.Sweep(name=order)), [self._scratch], wait=False)
                else:
                    self._fork(*order)
            except OSError:  # its socket is full; or it is gone, and the socket's end of file says so
                self._loop.after(_RETRY_AFTER, self._send_orders)
                return
            self._queue.popleft()

    def _fork(self, run: Run, launch: packets.Launch, passing: tuple[int, ...]) -> None:
        """Have the template fork a process, and send that its launch packet. Raises OSError if a socket is full."""
        manifest = run.hand.package.manifest
        alone = manifest.hand.isolation == "exec"
        usual = manifest.confinement.network == "none" and "mounts" not in launch.descriptors
        launch_socket, theirs = descriptors.pair()
        try:
            fork = encode(packets.Fork(number=run.number, isolated=alone, usual=usual, memory=launch.rlimits.memory))
            descriptors.send(self._template, fork, [theirs.fileno()], wait=False)
        except OSError:
            launch_socket.close()
            raise
        finally:
            theirs.close()
        try:
            descriptors.send(launch_socket, encode(launch), passing, wait=False)
        except (OSError, CodecError) as error:
            run.unfit = f"its launch packet could not be sent: {error}"
            launch_socket.close()
        else:
            run.launch_socket = launch_socket
            self._loop.watch(launch_socket.fileno(), lambda: self._read_run_packet(run, launch_socket))
        descriptors.close_all(passing)

    def _on_birth(self, run: Run, pidfd: int) -> None:
        """Note a run's first process; kill it if the run is to end, stop it if the run is paused."""
        run.pidfd, run.pid = pidfd, descriptors.pid_of(pidfd)
        if run.is_ending:  # it was told to end before its process existed
            self.kill(run, signal.SIGKILL)
        elif run.paused:
            self.apply_pause(run)

    def _read_run_packet(self, run: Run, launch_socket: socket) -> None:
        """Read what a run's process answers to its launch packet, and act on it."""
        try:
            raw, passed = descriptors.receive(launch_socket)
            descriptors.close_all(passed)
            match packets.decode(raw) if raw else None:
                case packets.Joining(public=public) if not run.is_ending:
                    self._owner.expect_connection(run, public)
                    descriptors.send(launch_socket, encode(packets.Go()))
                    return
                case packets.Confined() as how:
                    self._owner.record_confinement(run, how)
                    self._release_when_confined(run)
                    return
                case packets.Unfit(code=code, why=why):
                    run.unfit = f"{code}: {why}"
        except (OSError, CodecError):
            pass  # a bad packet, or the process is gone: its end will be reported
        self._close_socket(run)

    def _release_when_confined(self, run: Run) -> None:
        """Let the Hand's code begin if every layer is in place, its control group too, which it joins in parallel."""
        if run.launch_socket is not None and run.applied and (run.is_grouped or "cgroup" not in run.applied):
            with suppress(OSError):  # the process is gone: its end will be reported
                descriptors.send(run.launch_socket, encode(packets.Go()))
            self._close_socket(run)

    def _close_socket(self, run: Run) -> None:
        """Close the kernel's end of a run's launch socket."""
        if run.launch_socket is not None:
            self._loop.unwatch(run.launch_socket.fileno())
            run.launch_socket.close()
            run.launch_socket = None

    def _forget_process(self, number: int, status: int) -> None:
        """Forget a run's process, which has ended, and report the end to the supervisor."""
        run = self._runs.pop(number)
        if run.launch_socket is not None:  # it may still hold the reason why the run did not start
            run.launch_socket.setblocking(False)
            self._read_run_packet(run, run.launch_socket)
        descriptors.close_all([run.pidfd] if run.pidfd >= 0 else [])
        run.pid, run.pidfd = 0, -1
        self._owner.supervisor.on_process_end(run, status)

    def remove_scratch_of(self, run: Run) -> None:
        """Have the scratch folder of a run removed that has ended, or was not started, unless another may work in it. Not by
        the kernel: even of an empty one a run decides how long that takes.
        """
        if all(other.scratch != run.scratch for other in [*self._runs.values(), *self._owner.runs.values()]):
            self._enqueue(run.scratch)

    def _prepare_scratch_again(self, run: Run) -> None:
        """Make way for an empty scratch folder, as a run's first process had. Keep it if the run may lend it to others: their
        files are not made again.
        """
        if self._owner.catalogue.lends(run.grants):
            with suppress(FileNotFoundError):
                run.uid = run.uid and os.lstat(self._home.at("scratch", run.id)).st_uid
            return
        aside = f"{run.id}.{os.urandom(4).hex()}"
        with suppress(FileNotFoundError):
            os.rename(run.id, aside, src_dir_fd=self._scratch, dst_dir_fd=self._scratch)
        self._enqueue(aside)

    def _own_folder(self, kind: str, name: str, uid: int | None) -> str:
        """Make a run's or a service's own folder if it has none, and give it to this user id. Returns its path."""
        path = self._home.at(kind, name)
        os.makedirs(path, 0o700, exist_ok=True)
        if uid is not None and os.lstat(path).st_uid != uid:
            os.chown(path, uid, uid, follow_symlinks=False)
        return path
