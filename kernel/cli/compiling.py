"""Compiles a WASM Hand's module into native code in a confined process, once, before the install (acts).

The process begins in kernel/process/compiler.py, which confines it; the compiler itself is a module of the runtime, named
here and not imported. A module may take over its compiler, so nothing in the output decides which file is written: it goes
into the home's folder `compiled/` under a name made here, and its digest into the log, where each start looks it up. Two
Hands with the same module share one file.
"""

import contextlib
import hashlib
import os
import re
import selectors
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from kernel import STARTER
from kernel.cli import installed, package, replies
from kernel.cli.client import Client
from kernel.cli.exits import Ended, NotDone
from kernel.cli.package import Folder
from kernel.cli.progress import StatusLine
from kernel.home import Home
from manifests.installed import Artefact

COMPILER: Final = "runtime.wasm.compiling"

CPU_SECONDS: Final = 60
"""Limit of the compiler's processor time; it is killed after twice that in wall time."""

ANSWER_MAX: Final = 256 * 1024 * 1024
"""Most bytes of the compiler's output. The largest module, if it is all code, makes a third of that."""

SHOW_AFTER: Final = 1.0
"""Seconds after which the command shows that it compiles, and between two redraws."""

_STDERR_MAX: Final = 64 * 1024
_KEY: Final = re.compile(rb"[0-9a-f]{64}")
_PLACED: Final = re.compile(r"(.+?) +--> <anon>:(\d+):(\d+) ")
"""How wasmtime tells of a fault in WebAssembly text: the fault, its place, and then a drawing of the line."""

_PIECE_SIZE: Final = 64 * 1024

KEEP_S: Final = 600
"""Seconds for which a new file stays, even if no Hand uses it yet."""


class CannotRun(Ended):
    """A module that does not compile, or lacks an export. why: without its place, which is 1:1 if the compiler told none."""

    def __init__(self, file: str, why: str) -> None:
        placed = _PLACED.match(why)
        self.file, self.why = file, placed[1] if placed else why
        self.line, self.column = (int(placed[2]), int(placed[3])) if placed else (1, 1)
        place = f":{self.line}:{self.column}" if placed else ""
        super().__init__(f"{file}{place} cannot be run: {self.why}")


class _Output(NamedTuple):
    """A process's stdout and stderr, and its exit code, negative for a signal as in subprocess."""

    out: bytes
    stderr: bytes
    exit_code: int


class _Installed(Struct, frozen=True):
    artefact: Artefact | None = None


class _Shown(Struct, frozen=True):
    hand: _Installed
    kept: tuple[_Installed, ...] = ()


def compile_into(home: str, folder: Folder) -> Artefact:
    """Compile the folder's module and write it into the home. Raises CannotRun with the reason if that fails."""
    key, artefact = compile_module(folder, CPU_SECONDS, Home(home).identity.require)
    os.makedirs(os.path.join(home, "compiled"), mode=0o700, exist_ok=True)
    package.write(os.path.join(home, "compiled", key), artefact, mode=0o600)
    return Artefact(key=key, digest=hashlib.sha256(artefact).hexdigest())


def compile_module(folder: Folder, seconds: int, required: Iterable[str] = ()) -> tuple[str, bytes]:
    """Compile a folder's module; returns the artefact's key, which is its file name, and content. CannotRun if that fails.

    required: layers of confinement without which nothing is compiled, in addition to those that the Hand requires.
    """
    hand = folder.manifest.hand
    if problem := package.entry_problem(folder):
        raise Ended(f"{folder.path}: {problem}: `maniple check {shlex.quote(folder.path)}` tells all that is wrong")
    layers = ",".join((*folder.manifest.confinement.require, *required))
    command = [*confined_command(layers, seconds), COMPILER, hand.wasm, hand.kind, *folder.manifest.provides]
    module, begun = folder.files[hand.wasm], time.monotonic()
    try:
        output = _run_process(command, module, 2 * seconds, f"compiling {hand.wasm}")
    except TimeoutError:
        raise _cannot_run(folder, f"compiling it took more than {2 * seconds} s") from None
    except OverflowError:
        raise _cannot_run(folder, f"the compiler's answer is larger than {ANSWER_MAX >> 20} MiB") from None
    source_key, _, artefact = output.out.partition(b"\n")
    if output.exit_code == 0 and artefact and _KEY.fullmatch(source_key):
        return hashlib.sha256(source_key + hashlib.sha256(module).digest()).hexdigest(), artefact
    may_be_spent = time.monotonic() - begun >= seconds  # else something else killed it, as for want of memory
    if output.exit_code == -signal.SIGXCPU or (output.exit_code == -signal.SIGKILL and may_be_spent):
        raise _cannot_run(folder, f"compiling it took more than {seconds} s of processor time")
    if output.exit_code < 0:
        from kernel.runs import exit_text

        died = exit_text(-output.exit_code)
        raise _cannot_run(folder, f"compiling it was {died}, most likely because it is too large")
    stderr = output.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    raise _cannot_run(folder, stderr or "the compiler said nothing")


def _run_process(command: Sequence[str], given: bytes, seconds: float, what: str) -> _Output:
    """Run a process: write its stdin and read its outputs concurrently, so that neither side blocks the other.

    what: is shown meanwhile, on a terminal.

    Raises TimeoutError after `seconds`, and OverflowError if an output exceeds its limit; the process is killed.
    """
    line, deadline, pipe = StatusLine(), time.monotonic() + seconds, subprocess.PIPE
    out, stderr, rest = bytearray(), bytearray(), memoryview(given)
    with (
        subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env={}, cwd="/", start_new_session=True, bufsize=0
        ) as process,
        selectors.DefaultSelector() as ready,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        os.set_blocking(process.stdin.fileno(), False)
        ready.register(process.stdin, selectors.EVENT_WRITE)
        ready.register(process.stdout, selectors.EVENT_READ, (out, ANSWER_MAX))
        ready.register(process.stderr, selectors.EVENT_READ, (stderr, _STDERR_MAX))
        try:
            while ready.get_map():
                if (left := deadline - time.monotonic()) <= 0:
                    raise TimeoutError
                if seconds - left > SHOW_AFTER:
                    line.draw(seconds - left, what)
                for key, _ in ready.select(min(left, SHOW_AFTER)):
                    if key.data is None:
                        rest = _feed(key.fd, rest)
                        if not rest:
                            ready.unregister(process.stdin)
                            process.stdin.close()
                    elif _drain(key.fd, *key.data):
                        ready.unregister(key.fileobj)
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        finally:
            line.clear()
            process.kill()
        return _Output(bytes(out), bytes(stderr), process.wait())


def _drain(pipe: int, kept: bytearray, most: int) -> bool:
    """Append what a pipe holds to `kept`, and return whether it has ended. OverflowError for more than `most` bytes."""
    piece = os.read(pipe, _PIECE_SIZE)
    kept += piece
    if len(kept) > most:
        raise OverflowError
    return not piece


def _feed(pipe: int, rest: memoryview) -> memoryview:
    """Write as much as a pipe takes, and return the rest: empty if nobody reads it any more."""
    try:
        return rest[os.write(pipe, rest[:_PIECE_SIZE]) :]
    except BrokenPipeError:
        return rest[:0]


def confined_command(required: str, seconds: int) -> list[str]:
    """The beginning of the command line that runs a module confined; its name and arguments follow."""
    search = ":".join(filter(None, sys.path))
    return [sys.executable, "-s", "-S", "-P", "-c", STARTER, search, "kernel.process.compiler", required, str(seconds)]


def remove_unused(client: Client) -> None:
    """Remove compiled files that no installed Hand uses, except new ones, which another `install` may be about to use.

    Safe while other commands remove Hands or do the same.
    """
    folder = os.path.join(client.home, "compiled")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    if not names:
        return
    in_use = {key for hand in installed.list_hands(client) for key in _artefact_keys(client, hand.name)}
    for name in names:
        path = os.path.join(folder, name)
        with contextlib.suppress(FileNotFoundError):
            if name not in in_use and os.stat(path).st_mtime < time.time() - KEEP_S:
                os.unlink(path)


def _artefact_keys(client: Client, hand: str) -> set[str]:
    """The keys of a Hand's artefacts; none if it is not installed any more."""
    try:
        shown = replies.read(client.call("kernel.show", hand).value, _Shown)
    except NotDone as error:
        if error.reason != "unknown hand":
            raise
        return set()
    return {one.artefact.key for one in (shown.hand, *shown.kept) if one.artefact is not None}


def _cannot_run(folder: Folder, why: str) -> CannotRun:
    return CannotRun(os.path.join(folder.path, folder.manifest.hand.wasm), why)
