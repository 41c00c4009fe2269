"""From a decision to start a run to its process, and from its death to the last trace of it (acts).

The kernel's end of the talks with the template and with each run before it is on the bus. It never forks, and blocks on
nothing: what a run is told is one packet, what it answers arrives through the loop. It reports to its owner by three
calls: joining(run), unfit(run) and gone(run, status).
"""

import os
import signal
import socket
import sys
from typing import Final, Protocol

from kernel import STARTER, descriptors, output
from kernel.home import Home
from kernel.loop import Loop
from kernel.runs import Run
from manifests import schema
from wire.launch import (
    Born,
    Died,
    Fork,
    Go,
    Joining,
    Launch,
    Rlimits,
    Sweep,
    Unfit,
    Warm,
    decode,
    decode_template,
    encode,
)

PRELOAD: Final = "runtime.preload:preload"
SERVE: Final = "runtime.main:join"

UID_BASE: Final = 770_000_000
UID_COUNT: Final = 65_536
"""As root every run has a host user id of its own from this range: the first SERVICE_UIDS are for services, one each for
as long as they are installed, since their `state/` belongs to them; the rest go round among task runs."""
SERVICE_UIDS: Final = 4_096

_UNLIMITED: Final = -1


class Owner(Protocol):
    """Who decides: told what became of a launch."""

    def joining(self, run: Run, public: bytes) -> None:
        """The run is confined and will come to the bus with this key."""

    def gone(self, run: Run, status: int) -> None:
        """The run's process is reaped; status as waitpid gives it, or -1 if the template died with it."""

    def template_gone(self) -> None:
        """The template died, and with it every run."""


class Launcher:
    """One template, and the runs it forked."""

    def __init__(self, home: Home, loop: Loop, owner: Owner, server_key: bytes) -> None:
        self._home = home
        self._loop = loop
        self._owner = owner
        self._server_key = server_key
        self._runs: dict[int, Run] = {}
        self._numbers = 0
        self._queue: list[tuple[Run, Launch, tuple[int, ...]]] = []
        self._warm = False
        self._outer = 0
        self._pidfd = -1
        self._bus = -1
        self._scratch = os.open(home.at("scratch"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.start_template()

    # the template ---------------------------------------------------------------------------------------------------

    def start_template(self) -> None:
        """Start a template; runs asked for until it is warm wait for it."""
        ours, theirs = descriptors.pair()
        self._template = ours
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        reach = {sys.prefix, sys.base_prefix, root, self._home.at("scratch"), self._home.at("state")}
        arguments = [
            sys.executable,
            "-s",
            "-S",
            "-P",
            "-c",
            STARTER,
            ":".join(filter(None, sys.path)),
            "kernel.template",
        ]
        environment = {"PYTHONHASHSEED": str(self._home.identity.hash_seed), "PYTHONUTF8": "1"}
        self._outer = os.posix_spawn(
            sys.executable,
            [*arguments, "3", PRELOAD, *sorted(reach)],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
            ],
        )
        theirs.close()
        self._loop.watch(ours.fileno(), self._hear_template)

    def _hear_template(self) -> None:
        try:
            packet, passed = descriptors.receive(self._template)
        except OSError:
            packet, passed = b"", []
        if not packet:
            self._template_gone()
            return
        match decode_template(packet):
            case Warm(pid=pid):
                self._warmed(pid, passed)
            case Born(number=number, pid=pid, why=why):
                self._born(self._runs[number], pid, passed, why)
            case Died(number=number, status=status, cpu=cpu, memory=memory):
                run = self._runs.pop(number)
                run.cpu, run.memory = cpu, memory
                self._clean(run)
                self._owner.gone(run, status)

    def _warmed(self, pid: int, passed: list[int]) -> None:
        if (
            passed
        ):  # from the process that was exec'd, about process 1, before it leaves: that one is the kernel's child then
            from kernel.confine import adopt_orphans

            adopt_orphans()
            self._pidfd = passed[0]
            descriptors.send(self._template, b"leave")
            os.waitpid(self._outer, 0)
            self._outer = pid
            descriptors.send(self._template, b"go")
            return
        self._warm = True
        waiting, self._queue = self._queue, []
        for run, launch, passing in waiting:
            self._fork(run, launch, passing)

    def _template_gone(self) -> None:
        self._loop.forget(self._template.fileno())
        self._template.close()
        self._warm = False
        os.waitpid(self._outer, 0)
        descriptors.close_all([self._pidfd] if self._pidfd >= 0 else [])
        self._pidfd = -1
        lost, self._runs = list(self._runs.values()), {}
        for run in lost:
            self._clean(run)
            self._owner.gone(run, -1)
        self._owner.template_gone()

    # one run --------------------------------------------------------------------------------------------------------

    def launch(self, run: Run, *, files: dict[str, str], settings: dict[str, object], roots: dict[str, str]) -> None:
        """Start a run's process. Raises OSError for a folder that cannot be opened."""
        self._numbers += 1
        run.number = self._numbers
        run.uid = self._uid(run)
        hand, manifest = run.hand, run.hand.package.manifest
        passing = {"hand": self._folder(self._home.at("hands", hand.folder))}
        try:
            scratch = self._own_folder("scratch", run.id, run.uid)
            state = "" if run.is_task else self._own_folder("state", hand.id, run.uid)
            if manifest.confinement.roots:
                for name, path in roots.items():
                    passing[f"root:{name}"] = self._folder(path)
            passing["output"] = output.opened(self._home, hand.name)
            passing["bus"] = os.open(self._home.at("run", "bus"), os.O_PATH | os.O_CLOEXEC)
        except OSError:
            descriptors.close_all(list(passing.values()))
            raise
        packet = Launch(
            run=run.id,
            hand=hand.id,
            name=hand.name,
            version=hand.version,
            manifest=schema.encode(manifest),
            files=files,
            settings=settings,
            rlimits=_rlimits(manifest, is_task=run.is_task),
            uid=run.uid,
            server_key=self._server_key,
            seed=int.from_bytes(os.urandom(7), "big"),
            serve=SERVE,
            scratch=scratch,
            state=state,
            descriptors=tuple(passing),
        )
        self._runs[run.number] = run
        if self._warm:
            self._fork(run, packet, tuple(passing.values()))
        else:
            self._queue.append((run, packet, tuple(passing.values())))

    def kill(self, run: Run, number: int) -> None:
        """Send a signal to the run's first process, if it has one; KILL ends its whole PID namespace."""
        if run.pidfd >= 0:
            try:
                signal.pidfd_send_signal(run.pidfd, number)
            except ProcessLookupError:
                pass

    def sweep(self) -> None:
        """Remove the scratch folders that runs of an earlier kernel left behind."""
        for name in os.listdir(self._scratch):
            self._sweep(name)

    def close(self) -> None:
        """End the template, and so whatever still runs."""
        if self._pidfd >= 0:
            signal.pidfd_send_signal(self._pidfd, 9)
            os.waitpid(self._outer, 0)
            os.close(self._pidfd)
        self._loop.forget(self._template.fileno())
        self._template.close()

    def _fork(self, run: Run, packet: Launch, passing: tuple[int, ...]) -> None:
        ours, theirs = descriptors.pair()
        isolated = run.hand.package.manifest.hand.isolation == "exec"
        try:
            descriptors.send(ours, encode(packet), passing)
            descriptors.send(self._template, encode(Fork(number=run.number, isolated=isolated)), [theirs.fileno()])
        finally:
            descriptors.close_all(passing)
            theirs.close()
        run.talk = ours
        self._loop.watch(ours.fileno(), lambda: self._hear(run, ours))

    def _born(self, run: Run, pid: int, passed: list[int], why: str) -> None:
        if not pid:
            run.unfit = f"no process could be made: {why}"
            del self._runs[run.number]
            self._clean(run)
            self._owner.gone(run, -1)
            return
        run.pidfd = passed[0]
        run.pid = _pid_of(run.pidfd)
        if run.ended:  # it was told to end before it was born
            self.kill(run, 9)

    def _hear(self, run: Run, talk: socket.socket) -> None:
        try:
            raw, passed = descriptors.receive(talk)
            packet = decode(raw) if raw else None
        except (OSError, ValueError):
            packet, passed = None, []
        descriptors.close_all(passed)
        match packet:
            case Joining(public=public, applied=applied):
                run.applied = applied
                self._owner.joining(run, public)
                descriptors.send(talk, encode(Go()))
            case Unfit(code=code, why=why):
                run.unfit = f"{code}: {why}"
        self._end_talk(run)

    def _end_talk(self, run: Run) -> None:
        if isinstance(run.talk, socket.socket):
            self._loop.forget(run.talk.fileno())
            run.talk.close()
        run.talk = None

    def _clean(self, run: Run) -> None:
        self._end_talk(run)
        if run.pidfd >= 0:
            os.close(run.pidfd)
            run.pidfd = -1
        run.pid = 0
        try:
            os.rmdir(run.id, dir_fd=self._scratch)
        except FileNotFoundError:
            pass
        except OSError:
            self._sweep(run.id)

    def _sweep(self, name: str) -> None:
        """Have the template remove a scratch folder; one that is too much to hand over is left for the next start."""
        try:
            descriptors.send(self._template, encode(Sweep(name=name)), [self._scratch])
        except OSError:
            pass

    def _folder(self, path: str) -> int:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def _own_folder(self, kind: str, name: str, uid: int | None) -> str:
        path = self._home.at(kind, name)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        if uid is not None and os.lstat(path).st_uid != uid:
            os.chown(path, uid, uid, follow_symlinks=False)
        return path

    def _uid(self, run: Run) -> int | None:
        if os.geteuid() != 0:
            return None
        if not run.is_task:
            return UID_BASE + run.hand.number % SERVICE_UIDS
        return UID_BASE + SERVICE_UIDS + run.number % (UID_COUNT - SERVICE_UIDS)


def _rlimits(manifest: schema.Manifest, *, is_task: bool) -> Rlimits:
    limits = manifest.limits
    return Rlimits(
        memory=limits.memory,
        cpu=max(1, limits.cpu_ms // 1000) if is_task else _UNLIMITED,
        processes=limits.processes,
        open_files=limits.open_files,
        file_size=limits.file_size,
    )


def _pid_of(pidfd: int) -> int:
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pid:"):
                return int(line.split()[1])
    return 0
