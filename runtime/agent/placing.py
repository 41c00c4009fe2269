"""Writes a skill's files into a run's scratch folder (acts), where a shell that the run may call finds them.

A file that exists is left as it is: a run that resumes after its process was killed does this again, in the same
folder, and its shell may have changed files since. Each folder is opened relative to its parent, links are not
followed, and a file is there whole or not at all: it is written under another name, of which what was there before is
removed, be it half a file, a link or a pipe. If a file cannot be written, as on a full disk, what was written just before
is removed: part of a skill would be taken for the whole.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from manifests.skills import reading
from runtime.agent.actions import Outcome
from runtime.agent.skills import LABEL, Known
from runtime.kernel_handle import KernelHandle

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SECONDS: Final = 60.0


class _Listing(Struct, frozen=True):
    """The reply after all files of a skill were streamed, one after the other: their paths and sizes in bytes."""

    files: list[str]
    sizes: list[int]


async def place(kernel: KernelHandle, scratch: Path, skill: Known) -> Outcome:
    """Write a skill's files, fetched first if it was installed alone. Raises what a call raises."""
    files = await _fetch(kernel, skill) if skill.method else skill.files
    return lay_out(scratch, skill.name, files, (LABEL,) if skill.method else ())


def lay_out(scratch: Path, name: str, files: Mapping[str, bytes], labels: tuple[str, ...] = ()) -> Outcome:
    """Write the files of the skill `name`, all but SKILL.md; return the outcome that the model reads."""
    files = {path: content for path, content in sorted(files.items()) if path != reading.FILE}
    if not files:
        return Outcome(code="files", text=f"the skill {name} has no files besides {reading.FILE}", trusted=True)
    created: list[tuple[str, ...]] = []
    try:
        for path, content in files.items():
            _write(scratch, (reading.FOLDER, name, *path.split("/")), content, created)
    except OSError as error:
        _remove(scratch, created)
        text = f"{error.strerror}: other files are in the way of those of the skill {name}, or the disk is full"
        return Outcome(code="files", text=text, trusted=True)
    return Outcome(value={"folder": f"{reading.FOLDER}/{name}", "files": list(files)}, labels=labels)


async def _fetch(kernel: KernelHandle, skill: Known) -> Mapping[str, bytes]:
    """Fetch the files of a skill that was installed alone, all by one call."""
    content = bytearray()
    async with kernel.stream(skill.method, "", {"all": True}, timeout=_SECONDS) as stream:
        while len(content) <= reading.BYTES_MOST and (chunk := await stream.read()) is not None:
            content += chunk
    listing = msgspec.convert(stream.reply.value, _Listing)
    files, start = dict[str, bytes](), 0
    for path, size in zip(listing.files, listing.sizes, strict=True):
        files[path] = bytes(content[start : start + size])
        start += size
    return files


def _write(scratch: Path, parts: tuple[str, ...], content: bytes, created: list[tuple[str, ...]]) -> None:
    """Write one file unless its name exists; append each new folder and file to `created`."""
    at = os.open(scratch, _FOLDER)
    try:
        for depth, part in enumerate(parts[:-1], 1):
            with suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=at)
                created.append(parts[:depth])
            at = _enter(at, part)
        with suppress(FileNotFoundError):
            os.stat(parts[-1], dir_fd=at, follow_symlinks=False)
            return
        temporary = f".{parts[-1]}.new"
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=at)
        descriptor = os.open(temporary, _NEW, 0o600, dir_fd=at)
        created.append((*parts[:-1], temporary))
        with open(descriptor, "wb") as file:
            file.write(content)
        os.rename(temporary, parts[-1], src_dir_fd=at, dst_dir_fd=at)
        created[-1] = parts
    finally:
        os.close(at)


def _remove(scratch: Path, created: list[tuple[str, ...]]) -> None:
    """Remove what was created, the last first; a folder that has other files stays."""
    for parts in reversed(created):
        with suppress(OSError):
            at = os.open(scratch, _FOLDER)
            try:
                for part in parts[:-1]:
                    at = _enter(at, part)
                try:
                    os.unlink(parts[-1], dir_fd=at)
                except IsADirectoryError:
                    os.rmdir(parts[-1], dir_fd=at)
            finally:
                os.close(at)


def _enter(at: int, part: str) -> int:
    """Open a folder within an open one, which is closed; return its descriptor."""
    inner = os.open(part, _FOLDER, dir_fd=at)
    os.close(at)
    return inner
