"""A WASM Hand's module made into native code (acts), once, before it is installed: by a process that is given nothing else.

That process begins in kernel/process/compiler.py, which confines it; what compiles is the runtime's, named here and not
imported. Its output is kept below `compiled/` of the home, and its digest
goes into the log, where each start finds it. Two Hands with the same module share one file.
"""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from kernel import STARTER
from kernel.cli import package, told
from kernel.cli.client import Client
from kernel.cli.exits import Ended
from kernel.cli.package import Folder
from kernel.home import Home
from manifests.state import Artefact

COMPILER: Final = "runtime.wasm.compiling"

SECONDS: Final = 60
"""Processor time that compiling may take; it is ended after twice that in any case."""


FRESH: Final = 600
"""Seconds that what was compiled is left alone."""


class _Installed(Struct, frozen=True):
    artefact: Artefact | None = None


class _Shown(Struct, frozen=True):
    hand: _Installed


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
        raise Ended(f"{folder.path}: {problem}")
    layers = ",".join((*folder.manifest.confinement.require, *required))
    try:
        done = subprocess.run(
            [*start(layers, seconds), COMPILER, hand.wasm, hand.kind, *folder.manifest.provides],
            input=folder.files[hand.wasm], capture_output=True, env={}, cwd="/", timeout=2 * seconds,
            start_new_session=True, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _wrong(folder, f"compiling it took more than {2 * seconds} s") from None
    key, _, artefact = done.stdout.partition(b"\n")
    if done.returncode == 0 and artefact:
        return key.decode(), artefact
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise _wrong(folder, f"compiling it took more than {seconds} s of processor time")
    if done.returncode < 0:
        raise _wrong(
            folder, f"compiling it was ended by {signal.Signals(-done.returncode).name}, most likely for its size"
        )
    raise _wrong(
        folder, done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] or "the compiler said nothing"
    )


def start(required: str, seconds: int) -> list[str]:
    """How a confined program begins, before its name and what it is told."""
    search = ":".join(filter(None, sys.path))
    return [sys.executable, "-s", "-S", "-P", "-c", STARTER, search, "kernel.process.compiler", required, str(seconds)]


def sweep(client: Client) -> None:
    """Remove what no installed Hand runs any more, but for what another `install` may be about to name."""
    folder = os.path.join(client.home, "compiled")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    if not names:
        return
    hands = told.read(client.call("kernel.hands").value, told.Rows).hands
    shown = (told.read(client.call("kernel.show", hand.name).value, _Shown).hand.artefact for hand in hands)
    in_use = {one.key for one in shown if one is not None}
    for name in names:
        path = os.path.join(folder, name)
        if name not in in_use and os.stat(path).st_mtime < time.time() - FRESH:
            os.unlink(path)


def _wrong(folder: Folder, why: str) -> Ended:
    return Ended(f"{os.path.join(folder.path, folder.manifest.hand.wasm)} cannot be run: {why}")
