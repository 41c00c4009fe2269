"""From the fork to the Hand's own code (acts): the first milliseconds of a run, while its process is still kernel code.

The order is the contract of docs/life-of-a-run.md: descriptors, the launch packet, the Hand's files read and hashed, a
session of its own, limits, ids, no_new_privs; then the bus is joined, by the runtime function that the packet names,
until Hello is answered; then the Hand's code. What is hashed here are the very bytes that run. Room is left, and
marked, for the layers between.
"""

import hashlib
import os
import random
import signal
import socket
import stat
import sys
import traceback
from collections.abc import Iterator
from importlib import import_module

from kernel import STARTER, confine
from kernel.descriptors import close_all, receive, send
from manifests.seal import LINK, Seal, compare
from wire.launch import Go, Joining, Launch, Start, Unfit, decode, encode

EXIT_UNFIT = 78
"""The process's exit code when it ended before the Hand's code: EX_CONFIG of sysexits.h."""

_LAUNCH = 3  # the descriptor of the launch talk, after everything else is closed


class NotFit(Exception):
    """The run must not start: `code` and the reason go to the kernel in Unfit."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


def run(descriptor: int, *, isolated: bool) -> None:
    """Be the run whose launch descriptor this is; never returns. isolated: in an interpreter of its own."""
    exit_code = EXIT_UNFIT
    try:
        if descriptor != _LAUNCH:
            os.dup2(descriptor, _LAUNCH, inheritable=isolated)
        os.closerange(_LAUNCH + 1, 1 << 20)
        if isolated:
            _execute_afresh()
        exit_code = _live(socket.socket(fileno=_LAUNCH))
    except BaseException:  # noqa: BLE001 - whatever it was, the process ends below, and the log says why
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(exit_code)


def main(_: list[str]) -> None:
    """Entry of an isolated run, in its fresh interpreter."""
    os.environ.clear()
    os.set_inheritable(_LAUNCH, False)
    run(_LAUNCH, isolated=False)


def _execute_afresh() -> None:

    path = ":".join(entry for entry in sys.path if entry)
    seed = {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    os.execve(sys.executable, [sys.executable, "-s", "-S", "-P", "-c", STARTER, path, "kernel.child"], seed)


def _live(end: socket.socket) -> int:
    packet, passed = receive(end)
    launch = decode(packet)
    if not isinstance(launch, Launch):
        return EXIT_UNFIT
    descriptors = dict(zip(launch.descriptors, passed, strict=True))
    try:
        code = _sealed_bytes(descriptors.pop("hand"), launch.files)
        artefact = _compiled(descriptors.pop("artefact"), launch.artefact) if launch.artefact else b""
        applied = _confine(launch, descriptors)
    except (NotFit, OSError) as error:
        why = str(error).encode(errors="backslashreplace").decode()
        send(end, encode(Unfit(code=getattr(error, "code", "confinement"), why=why)))
        return EXIT_UNFIT
    import zmq

    public, secret = zmq.curve_keypair()
    send(end, encode(Joining(public=public, applied=applied)))
    name, _, function = launch.serve.partition(":")
    join = getattr(import_module(name), function)
    answer, _ = receive(end)
    if not answer or not isinstance(decode(answer), Go):
        return EXIT_UNFIT
    end.close()
    go = join(Start(launch=launch, code=code, descriptors=descriptors, public=public, secret=secret, artefact=artefact))
    del artefact  # it is loaded, and may be large
    return int(go())


def _sealed_bytes(folder: int, files: dict[str, str]) -> dict[str, bytes]:
    """Every file of the Hand's folder, read once and hashed. Raises NotFit unless all are as they were sealed."""
    found = dict(_walk(folder, ""))
    os.close(folder)
    digests = {path: LINK if raw is None else hashlib.sha256(raw).hexdigest() for path, raw in found.items()}
    different = compare(Seal(name="", version="", files=files), digests)
    if different:
        raise NotFit("altered", "; ".join(map(str, different[:5])))
    return {path: raw for path, raw in found.items() if raw is not None}


def _compiled(descriptor: int, digest: str) -> bytes:
    """A compiled module, which is native code. Raises NotFit unless it is what was compiled when the Hand was installed."""
    with open(descriptor, "rb") as file:
        artefact = file.read()
    if hashlib.sha256(artefact).hexdigest() != digest:
        raise NotFit("altered", "its compiled module was changed after it was installed")
    return artefact


def _walk(folder: int, prefix: str) -> Iterator[tuple[str, bytes | None]]:
    """Each path below a folder with its bytes, None for what is neither a file nor a folder; no link is followed."""
    for name in os.listdir(folder):
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
        except OSError:
            yield prefix + name, None
            continue
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(mode):
                yield from _walk(descriptor, f"{prefix}{name}/")
            elif stat.S_ISREG(mode):
                with open(descriptor, "rb", closefd=False) as file:
                    yield prefix + name, file.read()
            else:
                yield prefix + name, None
        finally:
            os.close(descriptor)


def _confine(launch: Launch, descriptors: dict[str, int]) -> tuple[str, ...]:
    """Lay on every layer of this version, in order, and tell their names."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    output = descriptors.pop("output")
    for standard, descriptor in enumerate((nothing, output, output)):
        os.dup2(descriptor, standard)
    close_all((nothing, output))
    os.chdir(launch.scratch)
    if launch.state:
        descriptors["state"] = os.open(launch.state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()
    applied = ["session", "pid namespace", "rlimits"]
    random.seed(launch.seed)
    if launch.uid is not None:
        if "mounts" in descriptors:
            confine.map_roots(descriptors, launch.uid)
        confine.become(launch.uid)
        applied.append("own user id")
    else:
        confine.own_user_namespace()
        applied.append("user namespace")
    confine.limit(launch.rlimits)
    confine.control(confine.NO_NEW_PRIVILEGES)
    confine.control(confine.NOT_DUMPABLE)
    return (*applied, "no_new_privs", "empty environment", "no inherited descriptors")
