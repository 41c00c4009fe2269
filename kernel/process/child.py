"""The first milliseconds of a run, from the fork to the Hand's own code (acts), while its process is still kernel code.

The order is the contract of docs/life-of-a-run.md: descriptors, the launch packet, the Hand's files read and hashed, a
session of its own, namespaces and ids, limits, no_new_privs, Landlock, capabilities, all before any thread exists; then
the runtime function that the packet names joins the bus, until Hello is answered; then seccomp, on all threads; then the
Hand's code. The bytes hashed here are the very bytes that run.
"""

import hashlib
import os
import random
import signal
import socket
import stat
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import lru_cache
from pkgutil import resolve_name
from typing import Final, NamedTuple, NoReturn

from kernel import STARTER
from kernel.descriptors import close_all, receive, reopened, send
from kernel.process import confine, landlock, machine, mounts, seccomp, trimming
from manifests import schema
from manifests.confinement.allowed import Profile
from manifests.confinement.plan import PROXY_PORT, Machine, Plan, check_outside, plan
from manifests.confinement.program import build
from manifests.seal import LINK, Seal, compare
from wire.errors import Refusal
from wire.launch import Confined, Go, Joining, Launch, Start, Unfit, decode, encode

EXIT_UNFIT = 78
"""Exit code of a process that ended before the Hand's code began (EX_CONFIG of sysexits.h)."""

LAUNCH: Final = 3
"""The descriptor number of the launch socket, once everything else is closed."""

_HASH_SEED: Final = os.environ.get("PYTHONHASHSEED", "random")
"""The home's hash seed, read while the template had an environment, so that sets have one order in all processes of a run."""


class Prepared(NamedTuple):
    """What a process has done before it knew which run it is. unshared: the namespaces it left; public, secret: its new CURVE
    keys, in Z85.
    """

    unshared: tuple[str, ...]
    public: bytes
    secret: bytes


def run(descriptor: int, *, isolated: bool, found: Machine | None = None, prepared: Prepared | None = None) -> NoReturn:
    """Become the run whose launch socket this descriptor is. Never returns.

    isolated: exec an interpreter of its own. found: what this machine can do; probed if None. prepared: see prepare().
    """
    exit_code = EXIT_UNFIT
    try:
        if descriptor != LAUNCH:
            os.dup2(descriptor, LAUNCH, inheritable=isolated)
        os.closerange(LAUNCH + 1, 1 << 20)
        found = found or machine.probe()
        if isolated:
            _exec_interpreter(found)
        exit_code = _become_run(socket.socket(fileno=LAUNCH), found, prepared)
    except BaseException:  # noqa: BLE001 - whatever it was, the process ends below
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(exit_code)


def main(arguments: list[str]) -> None:
    """Entry point of an isolated run, in its own interpreter. Its argument says what this machine can do."""
    os.environ.clear()
    os.set_inheritable(LAUNCH, False)
    run(LAUNCH, isolated=False, found=machine.from_text(arguments[0]))


def _exec_interpreter(found: Machine) -> None:
    """Replace this process by a new interpreter that becomes the run; see main()."""
    path = ":".join(entry for entry in sys.path if entry)
    seed = {"PYTHONHASHSEED": _HASH_SEED, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    start = ["-s", "-S", "-P", "-c", STARTER, path, "kernel.process.child", machine.to_text(found)]
    os.execve(sys.executable, [sys.executable, *start], seed)


def prepare(namespaces: tuple[str, ...], *, is_root: bool) -> Prepared:
    """Give this process a session, namespaces and CURVE keys of its own, which every run needs whatever its Hand is."""
    from zmq import curve_keypair

    confine.check(confine.libc.setsid(), "setsid")
    confine.die_first()
    if not is_root:
        confine.own_user_namespace()
    confine.bound_capabilities()
    mounts.leave(namespaces)
    return Prepared(namespaces, *curve_keypair())


def _become_run(end: socket.socket, found: Machine, prepared: Prepared | None) -> int:
    """Confine this process, join the bus, and run the Hand's code. Returns the exit code."""
    packet, passed = receive(end)
    if not isinstance(launch := decode(packet), Launch):
        return EXIT_UNFIT
    descriptors = dict(zip(launch.descriptors, passed, strict=True))
    join = resolve_name(launch.serve)  # while all files can still be read
    try:
        made = _planned(launch, found)
        code = _read_sealed(descriptors.pop("hand"), launch.files)
        artefact = _read_compiled(descriptors.pop("artefact"), launch.artefact) if launch.artefact else b""
        prepared = _confine(launch, descriptors, made, code, prepared)
    except (Refusal, OSError) as error:
        return _report_unfit(end, error)
    send(end, encode(Joining(public=prepared.public)))
    if not _wait_for_go(end):
        return EXIT_UNFIT
    start = Start(  # code that is mounted at `place` is not passed in memory, too
        launch=launch, code={} if made.place else code, place=made.place, artefact=artefact, descriptors=descriptors,
        public=prepared.public, secret=prepared.secret,
    )  # fmt: skip
    go = join(start)
    del start, artefact  # it is loaded, and may be large
    try:
        if "seccomp" in made.applied:
            seccomp.lay_on(call_filter(found.architecture, made.profiles))
    except OSError as error:
        return _report_unfit(end, error)
    end.send(encode(Confined(applied=made.applied, missing=made.missing, landlock=found.landlock)))  # not by sendmsg
    may_go = _wait_for_go(end)
    end.close()
    return int(go()) if may_go else EXIT_UNFIT


def _report_unfit(end: socket.socket, error: Refusal | OSError) -> int:
    """Tell the kernel why this process cannot become a run. Returns the exit code."""
    why = str(error).encode(errors="backslashreplace").decode()
    send(end, encode(Unfit(code=getattr(error, "code", "layer"), why=why)))
    return EXIT_UNFIT


def _wait_for_go(end: socket.socket) -> bool:
    """Wait for the kernel's Go. Returns False if the kernel is gone."""
    return bool(answer := receive(end)[0]) and isinstance(decode(answer), Go)


@lru_cache(maxsize=4)
def call_filter(architecture: str, profiles: frozenset[Profile]) -> bytes:
    """Build the filter of system calls for these profiles. Cached: the template builds the usual one before it forks."""
    return build(architecture, profiles)


def _planned(launch: Launch, found: Machine) -> Plan:
    """Plan this run's confinement on this machine. Raises Refusal if a required layer is missing."""
    manifest = schema.decode(launch.manifest)
    own = tuple(filter(None, (launch.scratch, launch.state)))
    roots = [name for name in launch.descriptors if name.startswith("root:")]
    real = map(os.path.realpath, (*own, *manifest.confinement.outside_read))
    made = plan(manifest, found, folders=own, roots=roots, required=launch.require, real=real)
    for path in manifest.confinement.outside_read:
        if not os.path.exists(path):
            raise Refusal("confinement", f"outside_read names {path}, which no run sees: `namei -l {path}` shows why")
    return made


def _read_sealed(folder: int, files: dict[str, str]) -> dict[str, bytes]:
    """Read and hash every file of the Hand's folder, once. Raises Refusal unless all are as they were sealed."""
    found = dict(_walk(folder, ""))
    os.close(folder)
    digests = {path: LINK if raw is None else hashlib.sha256(raw).hexdigest() for path, raw in found.items()}
    if different := compare(Seal(name="", version="", files=files), digests):
        raise Refusal("altered", "; ".join(map(str, different[:5])))
    return {path: raw for path, raw in found.items() if raw is not None}


def _read_compiled(descriptor: int, digest: str) -> bytes:
    """Read a compiled module, which is native code. Raises Refusal unless its digest is that of the installation."""
    with open(descriptor, "rb") as file:
        artefact = file.read()
    if hashlib.sha256(artefact).hexdigest() != digest:
        raise Refusal("altered", "its compiled module was changed after it was installed")
    return artefact


def _walk(folder: int, prefix: str) -> Iterator[tuple[str, bytes | None]]:
    """Yield each path below a folder with its bytes; None for what is neither file nor folder. No link is followed."""
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


def _confine(
    launch: Launch, descriptors: dict[str, int], made: Plan, code: dict[str, bytes], prepared: Prepared | None
) -> Prepared:
    """Apply every layer of confinement but the last, in order. Those in `prepared` are in place already."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    output = reopened(descriptors.pop("output"), os.O_WRONLY | os.O_APPEND)
    for standard, descriptor in enumerate((nothing, output, output)):
        os.dup2(descriptor, standard)
    longer = [reopened(descriptors.pop(name), os.O_RDWR) for name in ("longer", "aside") if name in descriptors]
    if longer:  # what earlier runs printed leaves room for this one
        trimming.trim(launch.rlimits.file_size, *longer)
    close_all((nothing, output, *longer))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    random.seed(launch.seed)
    if launch.uid is not None and "mounts" in descriptors:
        mounts.map_roots(descriptors, launch.uid)
    prepared = prepared or prepare(made.unshared, is_root=launch.uid is not None)
    if prepared.unshared != made.unshared:
        raise Refusal("layer", f"it has the namespaces {prepared.unshared} and should have {made.unshared}")
    for own in filter(None, (launch.scratch, launch.state)):
        os.chmod(own, 0o700)  # an earlier run may have closed it even to its owner; or who lends it, and be busy in it
    _take_identity(launch, descriptors, made, code)
    os.chdir(launch.scratch)
    if launch.state:
        descriptors["state"] = os.open(launch.state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    confine.limit(launch.rlimits)
    confine.control(confine.NO_NEW_PRIVILEGES)
    confine.control(confine.NOT_DUMPABLE)
    if made.landlock is not None:
        allowed = [(descriptors.get(name, name), rights) for name, rights in made.rules]
        landlock.lay_on(made.landlock, allowed, made.ports, _outside_check(launch))
    confine.drop_capabilities()
    return prepared


def _take_identity(launch: Launch, descriptors: dict[str, int], made: Plan, code: dict[str, bytes]) -> None:
    """Set up what the run sees in its namespaces; as root, take a user id of its own, which has no capability."""
    if made.proxy:  # while /proc/sys can still be written
        descriptors["proxy"] = confine.listen_on_own_loopback(PROXY_PORT)
    if "mount" in made.unshared:
        mounts.seal(filter(None, (launch.scratch, launch.state)), launch.uid)
    if made.place:
        mounts.show(code, made.place)
    if made.shared:
        mounts.share(*made.shared)
    if launch.uid is not None:
        confine.become(launch.uid)


def _outside_check(launch: Launch) -> Callable[[str, str], None]:
    """Return a check of each readable path and where it leads. The check raises Refusal if that shows any of the home."""
    own = [folder for folder in (launch.scratch, launch.state) if folder]
    real_own = [os.path.realpath(folder) for folder in own]
    asked = schema.decode(launch.manifest).confinement.outside_read

    def look(path: str, real: str) -> None:
        if path not in own:
            check_outside(path, real, real_own, is_asked=path in asked)

    return look
