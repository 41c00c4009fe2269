"""A WASM Hand's module made into native code (acts), once, before it is installed: by a process that is given nothing else.

That process begins in kernel/process/compiler.py, which confines it; what compiles is the runtime's, named here and not
imported. What it answers may be a lie of the module's, so nothing of it decides what file is written: its output is kept
below `compiled/` of the home under a name that is made here, and its digest goes into the log, where each start finds it.
Two Hands with the same module share one file.
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
from kernel.home import Home
from manifests.installed import Artefact

COMPILER: Final = "runtime.wasm.compiling"

SECONDS: Final = 60
"""Processor time that compiling may take; it is ended after twice that in any case."""


LARGEST: Final = 256 * 1024 * 1024
"""Bytes of its answer. The largest module, all of it code, makes a third of that."""

_WORDS: Final = 64 * 1024  # bytes of what it complains of
_KEY: Final = re.compile(rb"[0-9a-f]{64}")
_PIECE: Final = 64 * 1024

FRESH: Final = 600
"""Seconds that what was compiled is left alone."""


class _Answer(NamedTuple):
    """What the process said on its two outputs, and its exit code as subprocess has it."""

    out: bytes
    words: bytes
    exit_code: int


class _Installed(Struct, frozen=True):
    artefact: Artefact | None = None


class _Shown(Struct, frozen=True):
    hand: _Installed
    kept: tuple[_Installed, ...] = ()


def into(home: str, folder: Folder) -> Artefact:
    """Compile the folder's module into the home. Raises Ended with what is wrong with it."""
    key, artefact = compiled(folder, SECONDS, Home(home).identity.require)
    os.makedirs(os.path.join(home, "compiled"), mode=0o700, exist_ok=True)
    package.write(os.path.join(home, "compiled", key), artefact, mode=0o600)
    return Artefact(key=key, digest=hashlib.sha256(artefact).hexdigest())


def compiled(folder: Folder, seconds: int, required: Iterable[str] = ()) -> tuple[str, bytes]:
    """The key and the artefact of a folder's module. Raises Ended with what is wrong with it.

    required: layers of confinement without which it is not compiled, besides those that the Hand requires.
    """
    hand = folder.manifest.hand
    if problem := package.entry_problem(folder):
        raise Ended(f"{folder.path}: {problem}: `maniple check {shlex.quote(folder.path)}` tells all that is wrong")
    layers = ",".join((*folder.manifest.confinement.require, *required))
    command = [*start(layers, seconds), COMPILER, hand.wasm, hand.kind, *folder.manifest.provides]
    module = folder.files[hand.wasm]
    try:
        said = _answer(command, module, 2 * seconds)
    except TimeoutError:
        raise _wrong(folder, f"compiling it took more than {2 * seconds} s") from None
    except OverflowError:
        raise _wrong(folder, f"the compiler's answer is larger than {LARGEST >> 20} MiB") from None
    made_from, _, artefact = said.out.partition(b"\n")
    if said.exit_code == 0 and artefact and _KEY.fullmatch(made_from):
        return hashlib.sha256(made_from + hashlib.sha256(module).digest()).hexdigest(), artefact
    if said.exit_code in (-signal.SIGXCPU, -signal.SIGKILL):
        raise _wrong(folder, f"compiling it took more than {seconds} s of processor time")
    if said.exit_code < 0:
        from kernel.runs import exit_text

        raise _wrong(folder, f"compiling it was {exit_text(-said.exit_code)}, most likely because it is too large")
    words = said.words.decode("utf-8", "replace").strip().rpartition("\n")[2]
    raise _wrong(folder, words or "the compiler said nothing")


def _answer(command: Sequence[str], given: bytes, seconds: float) -> _Answer:
    """Start a process, give it these bytes, and take what it says, both at once: it may do either without the other.

    Raises TimeoutError, and OverflowError for an answer without end; the process is ended then.
    """
    until, pipe = time.monotonic() + seconds, subprocess.PIPE
    out, words, rest = bytearray(), bytearray(), memoryview(given)
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
        ready.register(process.stdout, selectors.EVENT_READ, (out, LARGEST))
        ready.register(process.stderr, selectors.EVENT_READ, (words, _WORDS))
        try:
            while ready.get_map():
                if (left := until - time.monotonic()) <= 0:
                    raise TimeoutError
                for key, _ in ready.select(left):
                    if key.data is None:
                        rest = _fed(key.fd, rest)
                        if not rest:
                            ready.unregister(process.stdin)
                            process.stdin.close()
                    elif _took(key.fd, *key.data):
                        ready.unregister(key.fileobj)
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        finally:
            process.kill()
        return _Answer(bytes(out), bytes(words), process.wait())


def _took(pipe: int, kept: bytearray, most: int) -> bool:
    """Whether a pipe was at its end; what it had is kept. Raises OverflowError for more than most."""
    piece = os.read(pipe, _PIECE)
    kept += piece
    if len(kept) > most:
        raise OverflowError
    return not piece


def _fed(pipe: int, rest: memoryview) -> memoryview:
    """What is left to be given after as much as there is room for; nothing when nobody takes it any more."""
    try:
        return rest[os.write(pipe, rest[:_PIECE]) :]
    except BrokenPipeError:
        return rest[:0]


def start(required: str, seconds: int) -> list[str]:
    """How a confined program begins, before its name and what it is told."""
    search = ":".join(filter(None, sys.path))
    return [sys.executable, "-s", "-S", "-P", "-c", STARTER, search, "kernel.process.compiler", required, str(seconds)]


def sweep(client: Client) -> None:
    """Remove what no installed Hand runs any more, but for what another `install` may be about to name.

    Another command may remove a Hand, or sweep, at the same time.
    """
    folder = os.path.join(client.home, "compiled")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    if not names:
        return
    in_use = {key for hand in installed.rows(client) for key in _used_by(client, hand.name)}
    for name in names:
        path = os.path.join(folder, name)
        with contextlib.suppress(FileNotFoundError):
            if name not in in_use and os.stat(path).st_mtime < time.time() - FRESH:
                os.unlink(path)


def _used_by(client: Client, hand: str) -> set[str]:
    """The keys of a Hand's artefacts; none of one that is no longer installed."""
    try:
        shown = replies.read(client.call("kernel.show", hand).value, _Shown)
    except NotDone as error:
        if error.reason != "unknown hand":
            raise
        return set()
    return {one.artefact.key for one in (shown.hand, *shown.kept) if one.artefact is not None}


def _wrong(folder: Folder, why: str) -> Ended:
    return Ended(f"{os.path.join(folder.path, folder.manifest.hand.wasm)} cannot be run: {why}")
