"""A real kernel for tests: a home in a temporary folder, its kernel as a process, and the operator's link to it.

    home = make_home(tmp_path / "home")
    with Kernel(home) as kernel, kernel.client() as client:
        install(kernel, SOURCE)                       # a folder, or the text of main.py with its HAND.toml
        client.call("echo.say", "", {"text": "hi"})

All of it is the command line's own code, so tests use what people use.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from kernel import STARTER
from kernel.cli import founding, installing, machine, package
from kernel.cli.client import Client
from manifests.grants import requested
from manifests.schema import Capability
from tests.forks import Forked, Forks
from wire.codec import Value
from wire.signing import SigningKey

ROOT = Path(__file__).resolve().parent.parent
DOWN_S = 30.0
WARM_MODULE = "tests.warm"
"""The module whose main() starts a forked kernel and its template."""

kernel_forks: Forks | None = None
"""The process that forks kernels; None: each kernel is started by exec."""


@cache
def why_no_hand_runs() -> str:
    """Why no Hand can run on this machine; "" if Hands can. Tests that need Hands are skipped there."""
    lacking = machine.lacking(machine.inspect("/"))
    return f"no Hand can run here: this machine lacks {lacking}" if lacking else ""


class Source(NamedTuple):
    """A Hand's HAND.toml and main.py."""

    toml: str
    main: str


ECHO = Source(
    """
[hand]
name = "echo"
version = "1.0.0"
description = "Says it back."
entry = "main:Echo"
kind = "service"
autonomy = "full"

[provides."echo.say"]
summary = "Say it back"
resource = "none"
effect = "read"
idempotent = true
params = { text = "string" }
returns = { text = "string" }
""",
    """
from runtime import Call, Hand


class Echo(Hand):
    async def say(self, call: Call, text: str) -> dict[str, object]:
        return {"text": text}
""",
)


def make_home(path: Path | str) -> Path:
    """Make a home with keys and nothing installed. Its parent folder must exist."""
    home = Path(path)
    home.mkdir(mode=0o700)
    founding.create_home_files(str(home))
    return home


def seal_key(home: Path | str) -> SigningKey:
    """Read the home's own sealing key."""
    return founding.read_sealing_key(str(home))


class Kernel:
    """The kernel of a home, as a process. `up` makes the home trust its own sealing key if it trusts none yet."""

    def __init__(self, home: Path | str, module: str = "kernel.main", *, by_exec: bool = False) -> None:
        """module: its main() runs the kernel. by_exec: exec it, with a command line, environment and hash seed of its own."""
        self.home, self._module, self._by_exec = Path(home), module, by_exec
        self.process: subprocess.Popen[bytes] | Forked | None = None

    def __enter__(self) -> Self:
        if self.process is None:
            self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        """The kernel's process id."""
        assert self.process is not None, "the kernel was not started"
        return self.process.pid

    @property
    def template_pid(self) -> int:
        """The process id of the kernel's template, its only child."""
        (child,) = map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split())
        return child

    def up(self) -> Self:
        """Start the kernel and wait until it is ready. Fails with what it reports if it is not."""
        assert self.process is None or self.process.poll() is not None, "the kernel runs already"
        report, ready = os.pipe()
        with open(self.home / "run" / "kernel.log", "ab") as log:
            begin = (
                self._start_by_exec
                if kernel_forks is None or self._by_exec
                else partial(self._start_by_fork, kernel_forks)
            )
            self.process = begin(log.fileno(), ready)
        os.close(ready)
        with open(report, "rb") as file:
            line = file.readline().decode().strip()
        assert line == "ready", f"{line or 'no report'}; its log: {self.log()}"
        self._trust_own_key()
        return self

    def _start_by_exec(self, log: int, ready: int) -> "subprocess.Popen[bytes]":
        path = ":".join(filter(None, dict.fromkeys([str(ROOT), *sys.path])))
        return subprocess.Popen(
            [sys.executable, "-I", "-c", STARTER, path, self._module, str(self.home), str(ready)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(ready,),
            start_new_session=True,
        )

    def _start_by_fork(self, kernel_forks: Forks, log: int, ready: int) -> Forked:
        with open(os.devnull, "rb") as nothing:
            descriptors = {0: nothing.fileno(), 1: log, 2: log, ready: ready}
            return kernel_forks.fork(
                WARM_MODULE, [self._module, str(self.home), str(ready)], descriptors, own_session=True
            )

    def down(self) -> None:
        """Stop everything in order, and wait until the process has ended."""
        with self.client() as client:
            client.call("kernel.down")
        assert self.process is not None
        assert self.process.wait(DOWN_S) == 0, self.log()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the process a signal, SIGKILL by default, and reap it."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(DOWN_S)

    def client(self) -> Client:
        """Connect as the operator; use the client in a `with`, or close it."""
        return Client(str(self.home))

    def log(self) -> str:
        """The kernel's and the template's stderr."""
        return (self.home / "run" / "kernel.log").read_text(errors="replace")

    def _trust_own_key(self) -> None:
        with self.client() as client:
            reply = client.call("kernel.home").value
            assert isinstance(reply, dict)
            if not reply["keys"]:
                client.call("kernel.key-add", "", {"key": seal_key(self.home).verify_key.text(), "hands": ["*"]})


def write_hand(folder: Path | str, source: Source, /, **more: str) -> Path:
    """Write a Hand's folder. more: further files by name, with `_` for a dot: notes_txt="…" is notes.txt."""
    target = Path(folder)
    target.mkdir(parents=True)
    for name, text in {"HAND_toml": source.toml, "main_py": source.main, **more}.items():
        (target / name.replace("_", ".")).write_text(text.lstrip("\n"))
    return target


def install(
    kernel: Kernel,
    hand: Path | str | Source,
    grants: Iterable[Capability] | None = None,
    *,
    key: SigningKey | None = None,
    as_declared: bool = False,
) -> dict[str, Value]:
    """Seal and install a Hand; returns the reply of kernel.install. grants: by default, all that it asks for.

    hand: a folder, or a Source. key: by default the home's own. as_declared: trust the effects that a program declares.
    """
    if isinstance(hand, Source):
        with tempfile.TemporaryDirectory() as parent:
            written = write_hand(Path(parent) / "hand", hand)
            return install(kernel, written, grants, key=key, as_declared=as_declared)
    with tempfile.TemporaryDirectory() as parent:
        folder = package.read(str(_without_caches(Path(hand), Path(parent))))
        seal = package.make_seal(folder, key or seal_key(kernel.home))
        with kernel.client() as client:
            wanted = requested(folder.manifest) if grants is None else grants
            reply = installing.install(client, folder, seal, wanted, as_declared=as_declared)
    assert isinstance(reply, dict)
    return reply


def files_containing(home: Path | str, *words: str) -> list[Path]:
    """The files of a home that contain one of the words; files that disappear meanwhile are ignored."""
    found = []
    for path in sorted(Path(home).rglob("*")):
        with suppress(FileNotFoundError):
            if path.is_file() and any(word.encode() in path.read_bytes() for word in words):
                found.append(path)
    return found


def _without_caches(hand: Path, parent: Path) -> Path:
    """Copy a Hand's folder without the __pycache__ that tests of its modules leave."""
    import shutil

    return shutil.copytree(hand, parent / hand.name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
