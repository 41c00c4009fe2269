"""A Hand's folder on disk (acts): read, hashed, sealed and copied, exactly as the kernel's child will read it.

The walk is that of kernel/process/child.py: links and odd files are refused, every plain file counts, HAND.seal alone is not
sealed. So what is sealed here is what is found there.
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

LARGEST: Final = 64 * 1024 * 1024
"""Most bytes of a Hand's folder: every start reads all of them."""

CACHE: Final = "__pycache__"
DRAFT: Final = ".new"
"""What is put behind a file's name while it is written."""


class Folder(Struct, frozen=True, kw_only=True):
    """What a Hand's folder holds. files: path → content of every plain file but HAND.seal. seal: its text, or ""."""

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


def _raised(odd: Ended) -> None:
    raise odd from None


def read(path: str, *, skip_caches: bool = False, meet: Callable[[Ended], None] = _raised) -> Folder:
    """Check a folder's HAND.toml and read every file. Raises ManifestInvalid, or Ended for what is no Hand's folder.

    skip_caches: pass over what Python left behind, for a folder that is copied and not sealed where it is. meet: as of
    files().
    """
    from manifests.check import check

    raw = _raw_manifest(path)
    manifest = check(raw, file=os.path.join(path, seals.MANIFEST_FILE))
    found = files(path, skip_caches=skip_caches, meet=meet)
    if found.get(seals.MANIFEST_FILE) != raw.encode():  # what is shown and agreed to would not be what is sealed
        raise Ended(f"{path} has changed while it was read: try again when nobody writes there")
    seal = found.pop(seals.SEAL_FILE, b"").decode("utf-8", "replace")
    found.pop(f"{seals.SEAL_FILE}{DRAFT}", None)  # of one who was killed: the next seal takes its place
    return Folder(path=path, manifest=manifest, files=found, seal=seal)


def manifest_of(path: str) -> Manifest:
    """The checked manifest of a folder. Raises ManifestInvalid with every problem, Ended when there is none to read."""
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
    """Why what `entry`, `command`, `wasm`, `pipeline` or [agent] names cannot be there, or ""."""
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
    """Remove the folders that Python left behind, which a seal would have to list."""
    import shutil

    for folder in [os.path.join(at, CACHE) for at, folders, _ in os.walk(path) if CACHE in folders]:
        shutil.rmtree(folder)


def sealed(folder: Folder, key: SigningKey) -> str:
    """The text of a seal over everything in the folder. Raises Ended for a path that no seal can list."""
    try:
        return seals.seal(folder.name, folder.version, folder.digests(), key)
    except SealMalformed as error:
        again = f"rename or remove that file, then `maniple check {shlex.quote(folder.path)}`"
        raise Ended(f"{folder.path} cannot be sealed: {error}; {again}") from None


def copy(folder: Folder, seal: str, to: str) -> None:
    """Write the very bytes that were read, and the seal, into a new folder, on disk before this returns."""
    os.mkdir(to, 0o700)
    made = {to}
    for path, content in [*folder.files.items(), (seals.SEAL_FILE, seal.encode())]:
        file = os.path.join(to, path)
        above = os.path.dirname(file)
        os.makedirs(above, mode=0o700, exist_ok=True)
        while above not in made:
            made.add(above)
            above = os.path.dirname(above)
        write(file, content, mode=0o600, sync_folder=False)
    for each in [*made, os.path.dirname(to)]:
        growing.sync_folder(each)


def write(path: str, content: bytes, *, mode: int = 0o644, sync_folder: bool = True) -> None:
    """Write a file whole or not at all, and on disk. Others that write it at the same time do so one after the other."""
    new = f"{path}{DRAFT}"
    with open(new, "wb", opener=lambda name, _: _draft(name, mode)) as file:
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


def _draft(path: str, mode: int) -> int:
    """An empty file of this name, which is ours until it is closed; it may be there, as one who was killed left it."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, mode)
        with suppress(OSError):  # of a file system that has none
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                os.ftruncate(descriptor, 0)
                return descriptor
        os.close(descriptor)  # whoever held it has given it its name


def files(path: str, *, skip_caches: bool = True, meet: Callable[[Ended], None] = _raised) -> dict[str, bytes]:
    """Every plain file of a folder, by its path there. Raises Ended for more than a Hand may hold.

    meet: what becomes of each thing that cannot be sealed: a link, what is no file, what cannot be read, and unless
    skip_caches what Python left behind. Without it, the first is raised.
    """
    walk = _Walk(path, skip_caches, meet)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        walk.through(descriptor, "")
    finally:
        os.close(descriptor)
    return walk.found


class _Walk:
    def __init__(self, top: str, skip_caches: bool, meet: Callable[[Ended], None]) -> None:
        self._top, self._skips_caches, self._meet, self._size = top, skip_caches, meet, 0
        self.found: dict[str, bytes] = {}

    def through(self, folder: int, prefix: str) -> None:
        """All that is in a folder, in order."""
        for name in sorted(os.listdir(folder)):
            if not (name == CACHE and self._skips_caches):
                self._one(folder, name, prefix + name)

    def _one(self, folder: int, name: str, path: str) -> None:
        shown = os.path.join(self._top, path)
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
        except OSError as error:
            why = f"cannot be read: {error.strerror}"
            if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                why = "is a link: a Hand's folder holds plain files only; copy the file here"
            return self._meet(Ended(f"{shown} {why}"))
        try:
            kind = os.fstat(descriptor).st_mode
            if stat.S_ISREG(kind):
                return self._file(descriptor, path)
            if not stat.S_ISDIR(kind):
                return self._meet(Ended(f"{shown} is neither a file nor a folder: remove it"))
            if name != CACHE:
                return self.through(descriptor, path + "/")
            why = "was left behind by Python and would have to be sealed: remove it, or add --clean"
            return self._meet(Ended(f"{shown} {why} to `maniple install` or `maniple seal`"))
        finally:
            os.close(descriptor)

    def _file(self, descriptor: int, path: str) -> None:
        with open(descriptor, "rb", closefd=False) as file:
            self.found[path] = file.read(LARGEST + 1)
        self._size += len(self.found[path])
        if self._size > LARGEST:
            raise Ended(f"{self._top} holds more than {LARGEST >> 20} MiB: keep large files elsewhere")
