"""A living kernel for tests: a home in a temporary folder, its kernel as a real process, and the operator's link to it.

    home = make_home(tmp_path / "home")
    with Kernel(home) as kernel, kernel.client() as client:
        install(kernel, SOURCE)                       # a folder, or the text of main.py with its HAND.toml
        client.call("echo.say", "", {"text": "hi"})

Everything here is the command line's own code, so what tests stand on is what people use.
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
DOWN_WITHIN = 30.0
WARM = "tests.warm"
"""Whose main() begins a kernel that is forked, and its template."""

kernels: Forks | None = None
"""What kernels are forked from; None: each is executed anew, as by `maniple up`."""


@cache
def no_hand_runs() -> str:
    """Why no Hand can run on this machine, "" when they can; what needs some is skipped there, not failed."""
    lacking = machine.lacking(machine.inspect("/"))
    return f"no Hand can run here: this machine lacks {lacking}" if lacking else ""


class Source(NamedTuple):
    """A Hand as two texts."""

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
    """A new home, with keys and nothing installed. Its parent must be there."""
    home = Path(path)
    home.mkdir(mode=0o700)
    founding.create_home_files(str(home))
    return home


def seal_key(home: Path | str) -> SigningKey:
    """The home's own sealing key."""
    return founding.read_sealing_key(str(home))


class Kernel:
    """The kernel of a home, as a process. `up` trusts the home's own sealing key when nothing is trusted yet."""

    def __init__(self, home: Path | str, module: str = "kernel.main", *, by_exec: bool = False) -> None:
        """module: whose main() is the process's. by_exec: it has a command line, environment and order of sets of its own."""
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
        """The process id of its template, which is its only child."""
        (child,) = map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split())
        return child

    def up(self) -> Self:
        """Start it, and return when it serves. Fails with what it says when it does not."""
        assert self.process is None or self.process.poll() is not None, "the kernel runs already"
        hear, ready = os.pipe()
        with open(self.home / "run" / "kernel.log", "ab") as log:
            begin = self._executed if kernels is None or self._by_exec else partial(self._forked, kernels)
            self.process = begin(log.fileno(), ready)
        os.close(ready)
        with open(hear, "rb") as said:
            line = said.readline().decode().strip()
        assert line == "ready", f"{line or 'no word'}; its log: {self.log()}"
        self._trust_own_key()
        return self

    def _executed(self, log: int, ready: int) -> "subprocess.Popen[bytes]":
        path = ":".join(filter(None, dict.fromkeys([str(ROOT), *sys.path])))
        return subprocess.Popen(
            [sys.executable, "-I", "-c", STARTER, path, self._module, str(self.home), str(ready)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(ready,),
            start_new_session=True,
        )

    def _forked(self, kernels: Forks, log: int, ready: int) -> Forked:
        with open(os.devnull, "rb") as nothing:
            descriptors = {0: nothing.fileno(), 1: log, 2: log, ready: ready}
            return kernels.fork(WARM, [self._module, str(self.home), str(ready)], descriptors, own_session=True)

    def down(self) -> None:
        """Stop everything in order, and wait until the process is gone."""
        with self.client() as client:
            client.call("kernel.down")
        assert self.process is not None
        assert self.process.wait(DOWN_WITHIN) == 0, self.log()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End the process from outside, and reap it."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(DOWN_WITHIN)

    def client(self) -> Client:
        """A new link of the operator's; close it, or use it in a `with`."""
        return Client(str(self.home))

    def log(self) -> str:
        """What kernel and template wrote to stderr."""
        return (self.home / "run" / "kernel.log").read_text(errors="replace")

    def _trust_own_key(self) -> None:
        with self.client() as client:
            told = client.call("kernel.home").value
            assert isinstance(told, dict)
            if not told["keys"]:
                client.call("kernel.key-add", "", {"key": seal_key(self.home).verify_key.text(), "hands": ["*"]})


def write_hand(folder: Path | str, source: Source, /, **more: str) -> Path:
    """A Hand's folder from texts. more: further files by name, `_` for a dot: notes_txt="…" is notes.txt."""
    place = Path(folder)
    place.mkdir(parents=True)
    for name, text in {"HAND_toml": source.toml, "main_py": source.main, **more}.items():
        (place / name.replace("_", ".")).write_text(text.lstrip("\n"))
    return place


def install(
    kernel: Kernel,
    hand: Path | str | Source,
    grants: Iterable[Capability] | None = None,
    *,
    key: SigningKey | None = None,
    as_declared: bool = False,
) -> dict[str, Value]:
    """Seal and install a Hand, with all it asks for unless grants say otherwise; what the kernel says of it.

    hand: a folder, or a Source. key: the home's own by default. as_declared: a program is believed what its methods do.
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
            told = installing.install(client, folder, seal, wanted, as_declared=as_declared)
    assert isinstance(told, dict)
    return told


def holding(home: Path | str, *words: str) -> list[Path]:
    """The files of a living home that have one of the words; what goes while it is looked for counts as gone."""
    found = []
    for path in sorted(Path(home).rglob("*")):
        with suppress(FileNotFoundError):
            if path.is_file() and any(word.encode() in path.read_bytes() for word in words):
                found.append(path)
    return found


def _without_caches(hand: Path, parent: Path) -> Path:
    """A copy of a Hand's folder without what Python left in it while its modules were tested."""
    import shutil

    return shutil.copytree(hand, parent / hand.name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
