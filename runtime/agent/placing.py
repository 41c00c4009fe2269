"""Lays a skill's files into a run's scratch folder (acts), where a shell that the run may call finds them.

What lies there already is left as it is: a run that goes on after its process was killed does this again, in the folder that
the one before had, and its shell may have changed files since. Each folder is opened below the last one, links are not
followed, and a file is there whole or not at all. Where one cannot be written, as on a full disk, those that were written
just before are taken away again: half a skill would be taken for the whole.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from manifests.skills import reading
from runtime.agent.actions import Returned
from runtime.agent.skills import LABEL, Known
from runtime.kernel_handle import KernelHandle

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_SECONDS: Final = 60.0


class _All(Struct, frozen=True):
    """What is told after all files of a skill have come, one after the other."""

    files: list[str]
    sizes: list[int]


async def place(kernel: KernelHandle, scratch: Path, skill: Known) -> Returned:
    """Lay out a skill's files, fetched first if it was installed alone. Raises what a call raises."""
    files = await _fetched(kernel, skill) if skill.method else skill.files
    return lay_out(scratch, skill.name, files, (LABEL,) if skill.method else ())


def lay_out(scratch: Path, name: str, files: Mapping[str, bytes], labels: tuple[str, ...] = ()) -> Returned:
    """Lay out these files as those of the skill of that name; what is told of it."""
    files = {path: content for path, content in sorted(files.items()) if path != reading.FILE}
    if not files:
        return Returned(code="files", text=f"{name} has no files but {reading.FILE}", ours=True)
    made: list[tuple[str, ...]] = []
    try:
        for path, content in files.items():
            _write(scratch, (reading.FOLDER, name, *path.split("/")), content, made)
    except OSError as error:
        _take_away(scratch, made)
        text = f"{error.strerror}: something else lies where the files of {name} belong, or there is no room"
        return Returned(code="files", text=text, ours=True)
    return Returned(value={"folder": f"{reading.FOLDER}/{name}", "files": list(files)}, labels=labels)


async def _fetched(kernel: KernelHandle, skill: Known) -> Mapping[str, bytes]:
    """The files of a skill that was installed alone, all by one call."""
    content = bytearray()
    async with kernel.stream(skill.method, "", {"all": True}, timeout=_SECONDS) as stream:
        while len(content) <= reading.BYTES_MOST and (chunk := await stream.read()) is not None:
            content += chunk
    listing = msgspec.convert(stream.reply.value, _All)
    files, start = dict[str, bytes](), 0
    for path, size in zip(listing.files, listing.sizes, strict=True):
        files[path] = bytes(content[start : start + size])
        start += size
    return files


def _write(scratch: Path, parts: tuple[str, ...], content: bytes, made: list[tuple[str, ...]]) -> None:
    """Write one file, unless there is something of its name; `made` is told each folder and file that is new."""
    at = os.open(scratch, _FOLDER)
    try:
        for depth, part in enumerate(parts[:-1], 1):
            with suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=at)
                made.append(parts[:depth])
            at = _below(at, part)
        with suppress(FileNotFoundError):
            os.stat(parts[-1], dir_fd=at, follow_symlinks=False)
            return
        new = f".{parts[-1]}.new"
        descriptor = os.open(new, _NEW, 0o600, dir_fd=at)
        made.append((*parts[:-1], new))
        with open(descriptor, "wb") as file:
            file.write(content)
        os.rename(new, parts[-1], src_dir_fd=at, dst_dir_fd=at)
        made[-1] = parts
    finally:
        os.close(at)


def _take_away(scratch: Path, made: list[tuple[str, ...]]) -> None:
    """Remove what was made, the last first; what a folder has got besides stays, and so does the folder."""
    for parts in reversed(made):
        with suppress(OSError):
            at = os.open(scratch, _FOLDER)
            try:
                for part in parts[:-1]:
                    at = _below(at, part)
                try:
                    os.unlink(parts[-1], dir_fd=at)
                except IsADirectoryError:
                    os.rmdir(parts[-1], dir_fd=at)
            finally:
                os.close(at)


def _below(at: int, part: str) -> int:
    """A folder within the one that is open, which is let go."""
    below = os.open(part, _FOLDER, dir_fd=at)
    os.close(at)
    return below
