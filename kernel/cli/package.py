"""Reads, hashes, seals and copies a Hand's folder (acts), by the same rules as the process that starts it.

As in kernel/process/child.py, links and special files are refused, and a seal covers every plain file except HAND.seal:
so the files sealed here are those that a start finds.
"""

import fcntl
import hashlib
import os
import shlex
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from kernel.cli import named_files
from kernel.cli.exits import Ended, Exit
from kernel.record import growing
from manifests import seal as seals
from manifests.errors import SealMalformed
from manifests.schema import Agent, Manifest
from wire.signing import SigningKey

SIZE_MAX: Final = 64 * 1024 * 1024
"""Most bytes in a Hand's folder: every start reads all of them."""

CACHE: Final = "__pycache__"
DRAFT_SUFFIX: Final = ".new"
"""Suffix of a file's name while it is being written."""


class Folder(Struct, frozen=True, kw_only=True):
    """The content of a Hand's folder. files: path → content of every plain file except HAND.seal. seal: its text, or ""."""

    path: str
    manifest: Manifest
    files: dict[str, bytes]
    seal: str

    @property
    def name(self) -> str:
        return self.manifest.hand.name

    @property
    def version(self) -> str:
        return self.manifest.hand.version

    def digests(self) -> dict[str, str]:
        """Path → SHA-256 in hex, as in a seal."""
        return {path: hashlib.sha256(content).hexdigest() for path, content in self.files.items()}


def _raise(odd: Ended) -> None:
    raise odd from None


def read(path: str, *, skip_caches: bool = False, on_problem: Callable[[Ended], None] = _raise) -> Folder:
    """Check a folder's HAND.toml and read every file. Raises ManifestInvalid, or Ended if it is not a Hand's folder.

    skip_caches: ignore __pycache__ folders, for a folder that is copied and not sealed in place. on_problem: see
    read_files().
    """
    from manifests.check import check

    raw = _raw_manifest(path)
    manifest = check(raw, file=os.path.join(path, seals.MANIFEST_FILE))
    found = read_files(path, skip_caches=skip_caches, on_problem=on_problem)
    if found.get(seals.MANIFEST_FILE) != raw.encode():  # else other bytes could be sealed than were shown and agreed to
        raise Ended(f"{path} has changed while it was read: try again when nobody writes there")
    seal = found.pop(seals.SEAL_FILE, b"").decode("utf-8", "replace")
    found.pop(f"{seals.SEAL_FILE}{DRAFT_SUFFIX}", None)  # left by a killed `seal`; the next one overwrites it
    return Folder(path=path, manifest=manifest, files=found, seal=seal)


def read_manifest(path: str) -> Manifest:
    """Read and check a folder's HAND.toml. Raises ManifestInvalid with every problem, Ended if it cannot be read."""
    from manifests.check import check

    return check(_raw_manifest(path), file=os.path.join(path, seals.MANIFEST_FILE))


def _raw_manifest(path: str) -> str:
    from manifests.check import LONGEST

    file, again = os.path.join(path, seals.MANIFEST_FILE), shlex.quote(path)
    try:
        with open(file, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise Ended(f"{file} is not a plain file: put the manifest's text there, then `maniple check {again}`")
            raw = opened.read(LONGEST * 4 + 1)
        return raw.decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if os.path.isfile(path):
            if path.endswith(".pipeline.toml"):
                add = f"`maniple pipeline add {again}` installs it"
                raise Ended(f"{path} is a pipeline: `maniple pipeline check {again}` checks it, {add}") from None
            folder = os.path.dirname(path) or "."
            raise Ended(
                f"{path} is a file: name its folder, {folder}, as in `maniple check {shlex.quote(folder)}`"
            ) from None
        if not os.path.isdir(path):
            raise Ended(f"there is no folder {path}; `maniple new NAME` makes one for a Hand") from None
        raise Ended(f"{path} is not a Hand's folder: it has no HAND.toml; `maniple new NAME` makes one") from None
    except UnicodeDecodeError:
        raise Ended(f"{file} is not UTF-8 text: save it as UTF-8, then `maniple check {again}`") from None
    except OSError as error:
        raise named_files.unreadable(file, error, Exit.FAILED) from None


def entry_problem(folder: Folder) -> str:
    """Which file that `entry`, `command`, `wasm`, `pipeline` or [agent] names is missing or invalid; "" if none."""
    program = next(iter(folder.manifest.hand.command), "")
    if program:
        file = program.removeprefix("./")
        is_missing = program != file and file not in folder.files
        return f"command names {program}, but there is no {file}" if is_missing else ""
    if wasm := folder.manifest.hand.wasm:
        return "" if wasm in folder.files else f"wasm names {wasm}, but there is no such file"
    if pipeline := folder.manifest.hand.pipeline:
        return "" if pipeline in folder.files else f"pipeline names {pipeline}, but there is no such file"
    if agent := folder.manifest.agent:
        missing = [file for file in (agent.playbook, agent.schema, agent.task) if file and file not in folder.files]
        return f"[agent] names {missing[0]}, but there is no such file" if missing else _agent_problem(folder, agent)
    module = folder.manifest.hand.entry.partition(":")[0]
    file = module.replace(".", "/") + ".py"
    return "" if file in folder.files else f"entry names the module {module}, but there is no {file}"


def _agent_problem(folder: Folder, agent: Agent) -> str:
    from kernel.cli import agent_files

    problems = agent_files.problems(folder.path, agent, folder.files)
    return f"{problems[0].file}: {problems[0].what}" if problems else ""


def remove_caches(path: str) -> None:
    """Remove __pycache__ folders, which a seal would have to list."""
    import shutil

    for folder in [os.path.join(at, CACHE) for at, folders, _ in os.walk(path) if CACHE in folders]:
        shutil.rmtree(folder)


def make_seal(folder: Folder, key: SigningKey) -> str:
    """Sign all files of the folder; returns the text of HAND.seal. Raises Ended for a path that a seal cannot list."""
    try:
        return seals.seal(folder.name, folder.version, folder.digests(), key)
    except SealMalformed as error:
        again = f"rename or remove that file, then `maniple check {shlex.quote(folder.path)}`"
        raise Ended(f"{folder.path} cannot be sealed: {error}; {again}") from None


def copy(folder: Folder, seal: str, to: str) -> None:
    """Write the files as they were read, and the seal, into a new folder, and sync it."""
    os.mkdir(to, 0o700)
    created = {to}
    for path, content in [*folder.files.items(), (seals.SEAL_FILE, seal.encode())]:
        file = os.path.join(to, path)
        parent = os.path.dirname(file)
        os.makedirs(parent, mode=0o700, exist_ok=True)
        while parent not in created:
            created.add(parent)
            parent = os.path.dirname(parent)
        write(file, content, mode=0o600, sync_folder=False)
    for each in [*created, os.path.dirname(to)]:
        growing.sync_folder(each)


def write(path: str, content: bytes, *, mode: int = 0o644, sync_folder: bool = True) -> None:
    """Write a file atomically and sync it. Concurrent writers of the same file wait for each other."""
    new = f"{path}{DRAFT_SUFFIX}"
    with open(new, "wb", opener=lambda name, _: _open_draft(name, mode)) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(new, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(new)
            raise
    if sync_folder:
        growing.sync_folder(os.path.dirname(os.path.abspath(path)))


def _open_draft(path: str, mode: int) -> int:
    """Open an empty file that this process has locked until it closes it; one left by a killed process is reused."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, mode)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                os.ftruncate(descriptor, 0)
                return descriptor
        os.close(descriptor)  # the previous holder has renamed it: open a new one


def read_files(
    path: str, *, skip_caches: bool = True, on_problem: Callable[[Ended], None] = _raise
) -> dict[str, bytes]:
    """Read every plain file of a folder: relative path to content. Raises Ended above SIZE_MAX.

    on_problem: called with an error for each thing that cannot be sealed: a link, a special or unreadable file, and,
    unless skip_caches, a __pycache__ folder. By default the first such error is raised.
    """
    walk = _Walk(path, skip_caches, on_problem)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        walk.visit_folder(descriptor, "")
    finally:
        os.close(descriptor)
    return walk.found


class _Walk:
    """Reads a folder's tree, through descriptors, so that no link is followed."""

    def __init__(self, top: str, skip_caches: bool, on_problem: Callable[[Ended], None]) -> None:
        self._top, self._skips_caches, self._on_problem, self._size = top, skip_caches, on_problem, 0
        self.found: dict[str, bytes] = {}

    def visit_folder(self, folder: int, prefix: str) -> None:
        """Visit everything in a folder, in the order of names."""
        for name in sorted(os.listdir(folder)):
            if not (name == CACHE and self._skips_caches):
                self._visit(folder, name, prefix + name)

    def _visit(self, folder: int, name: str, path: str) -> None:
        shown = os.path.join(self._top, path)
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
        except OSError as error:
            why = f"cannot be read: {error.strerror}"
            if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                why = "is a link: a Hand's folder holds plain files only; copy the file here"
            return self._on_problem(Ended(f"{shown} {why}"))
        try:
            kind = os.fstat(descriptor).st_mode
            if stat.S_ISREG(kind):
                return self._read_file(descriptor, path)
            if not stat.S_ISDIR(kind):
                return self._on_problem(Ended(f"{shown} is neither a file nor a folder: remove it"))
            if name != CACHE:
                return self.visit_folder(descriptor, path + "/")
            why = "was left behind by Python and would have to be sealed: remove it, or add --clean"
            return self._on_problem(Ended(f"{shown} {why} to `maniple install` or `maniple seal`"))
        finally:
            os.close(descriptor)

    def _read_file(self, descriptor: int, path: str) -> None:
        with open(descriptor, "rb", closefd=False) as file:
            self.found[path] = file.read(SIZE_MAX + 1)
        self._size += len(self.found[path])
        if self._size > SIZE_MAX:
            raise Ended(f"{self._top} holds more than {SIZE_MAX >> 20} MiB: keep large files elsewhere")
