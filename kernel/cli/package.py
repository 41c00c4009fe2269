"""A Hand's folder on disk (acts): read, hashed, sealed and copied, exactly as the kernel's child will read it.

The walk is that of kernel/process/child.py: links and odd files are refused, every plain file counts, HAND.seal alone is not
sealed. So what is sealed here is what is found there.
"""

import hashlib
import os
import stat
from contextlib import suppress
from typing import Final

from msgspec import Struct

from kernel.cli.exits import Ended
from kernel.record import growing
from manifests import seal as seals
from manifests.errors import SealMalformed
from manifests.schema import Agent, Manifest
from wire.signing import SigningKey

LARGEST: Final = 64 * 1024 * 1024
"""Most bytes of a Hand's folder: every start reads all of them."""

CACHE: Final = "__pycache__"


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


def read(path: str, *, skip_caches: bool = False) -> Folder:
    """Check a folder's HAND.toml and read every file. Raises ManifestInvalid, or Ended for what is no Hand's folder.

    skip_caches: pass over what Python left behind, for a folder that is copied and not sealed where it is.
    """
    from manifests.check import check

    raw = _raw_manifest(path)
    manifest, found = check(raw, file=os.path.join(path, seals.MANIFEST_FILE)), files(path, skip_caches=skip_caches)
    if found.get(seals.MANIFEST_FILE) != raw.encode():  # what is shown and agreed to would not be what is sealed
        raise Ended(f"{path} has changed while it was read: try again when nobody writes there")
    seal = found.pop(seals.SEAL_FILE, b"").decode("utf-8", "replace")
    return Folder(path=path, manifest=manifest, files=found, seal=seal)


def manifest_of(path: str) -> Manifest:
    """The checked manifest of a folder. Raises ManifestInvalid with every problem, Ended when there is none to read."""
    from manifests.check import check

    return check(_raw_manifest(path), file=os.path.join(path, seals.MANIFEST_FILE))


def _raw_manifest(path: str) -> str:
    from manifests.check import LONGEST

    file = os.path.join(path, seals.MANIFEST_FILE)
    try:
        with open(file, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise Ended(f"{file} is no plain file: put the manifest's text there, then `maniple check {path}`")
            raw = opened.read(LONGEST * 4 + 1)
        return raw.decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if os.path.isfile(path):
            raise Ended(f"{path} is a file: name its folder, {os.path.dirname(path) or '.'}") from None
        raise Ended(f"{path} is not a Hand's folder: it has no HAND.toml; `maniple new NAME` makes one") from None
    except UnicodeDecodeError:
        raise Ended(f"{file} is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise Ended(f"{file} cannot be read: {error.strerror}") from None


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
        raise Ended(f"{folder.path} cannot be sealed: {error}; rename or remove that file") from None


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
    """Write a file whole or not at all, and on disk."""
    new = f"{path}.new"
    try:
        with open(new, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
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


def files(path: str, *, skip_caches: bool = True) -> dict[str, bytes]:
    """Every plain file of a folder, by its path there. Raises Ended for a link, and unless skip_caches for what Python
    left behind.
    """
    found: dict[str, bytes] = {}
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _walk(descriptor, "", found, path, 0, skip_caches=skip_caches)
    finally:
        os.close(descriptor)
    return found


def _walk(folder: int, prefix: str, found: dict[str, bytes], top: str, size: int, *, skip_caches: bool) -> int:
    """Bytes of all that is found now. size: before."""
    for name in sorted(os.listdir(folder)):
        if name == CACHE and skip_caches:
            continue
        path = prefix + name
        shown = os.path.join(top, path)
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
        except OSError as error:
            if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise Ended(f"{shown} is a link: a Hand's folder holds plain files only; copy the file here") from None
            raise Ended(f"{shown} cannot be read: {error.strerror}") from None
        try:
            kind = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(kind):
                if name == CACHE:
                    raise Ended(
                        f"{shown} was left behind by Python and would have to be sealed: remove it, or add --clean "
                        "to `maniple install` or `maniple seal`"
                    )
                size = _walk(descriptor, path + "/", found, top, size, skip_caches=skip_caches)
            elif stat.S_ISREG(kind):
                with open(descriptor, "rb", closefd=False) as file:
                    found[path] = file.read(LARGEST + 1)
                if (size := size + len(found[path])) > LARGEST:
                    raise Ended(f"{top} holds more than {LARGEST >> 20} MiB: keep large files elsewhere")
            else:
                raise Ended(f"{shown} is neither a file nor a folder: remove it")
        finally:
            os.close(descriptor)
    return size
