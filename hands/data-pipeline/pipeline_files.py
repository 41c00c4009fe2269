"""Reads and writes files by calls of files.* (acts), and turns their errors into JobFailed.

Needs grants for files.stat, files.read and files.write on the paths that the spec names.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from pipeline_errors import JobFailed
from runtime import CallFailed, CallRefused, KernelHandle, Stream

CHUNK: Final = 256 * 1024
ABSENT: Final = "absent"
LONGEST: Final = 24 * 3600.0
"""Seconds that the transfer of one file may take; a run's own limits are usually shorter."""

OnBytes = Callable[[], Awaitable[None]]


def _conflict(path: str) -> JobFailed:
    return JobFailed(
        "conflict",
        f"{path} was changed by somebody else while the job ran. Their change was kept and nothing of this job "
        "was loaded. Start it again.",
    )


@contextmanager
def _as_job_failures(path: str) -> Iterator[None]:
    try:
        yield
    except CallFailed as failed:
        if failed.code in ("conflict", "exists"):
            raise _conflict(path) from None
        raise JobFailed("files", failed.text or str(failed), reason=failed.code) from None
    except CallRefused as refused:
        raise JobFailed("files", f"{path}: {refused}", reason=refused.code, grant=refused.grant) from None


class Files:
    """Files in the granted roots. copied: bytes read so far, of all files."""

    def __init__(self, kernel: KernelHandle) -> None:
        self._kernel = kernel
        self.copied = 0

    async def size(self, path: str) -> int | None:
        """A file's size in bytes; None if there is none."""
        try:
            reply = await self._kernel.call("files.stat", path)
        except CallFailed as failed:
            if failed.code == "not found":
                return None
            raise JobFailed("files", failed.text or str(failed), reason=failed.code) from None
        except CallRefused as refused:
            raise JobFailed("files", f"{path}: {refused}", reason=refused.code, grant=refused.grant) from None
        size = reply.value.get("size") if isinstance(reply.value, dict) else None
        return size if isinstance(size, int) else 0

    @asynccontextmanager
    async def reading(self, path: str) -> AsyncIterator["Download"]:
        """Yields a Download. May be left early."""
        with _as_job_failures(path):
            async with self._kernel.stream("files.read", path, timeout=LONGEST) as stream:
                yield Download(stream, self)

    async def read(self, path: str, most: int) -> bytes:
        """The content of a small file."""
        found = bytearray()
        async with self.reading(path) as download:
            async for chunk in download:
                found += chunk
                if len(found) > most:
                    raise JobFailed("files", f"{path} has more than {most} bytes; that is not a spec.")
        return bytes(found)

    async def fetch(self, path: str, into: Path, on_bytes: OnBytes) -> "Download":
        """Copies a file into the scratch folder. Returns the Download, which has its digest."""
        async with self.reading(path) as download:
            with into.open("wb") as file:
                async for chunk in download:
                    file.write(chunk)
                    await on_bytes()
        return download

    async def put(
        self, path: str, whole: Path, *, expect: str | None, make_folders: bool, is_sqlite: bool = False
    ) -> tuple[str, int]:
        """Writes a file from the scratch folder. Returns (digest, size). Raises JobFailed("conflict").

        is_sqlite: also for what lies beside it, which SQLite would take for changes of what is put there.
        """
        digest, size = hashlib.sha256(), 0
        with _as_job_failures(path):
            async with self._kernel.stream(
                "files.write", path, timeout=LONGEST, upload=True, expect=expect, make_folders=make_folders
            ) as stream:
                with whole.open("rb") as file:
                    while chunk := file.read(CHUNK):
                        digest.update(chunk)
                        size += len(chunk)
                        await stream.send(chunk)
                if is_sqlite and (await self._unmerged(path) or await self._is_open(path)):
                    raise _conflict(path)
                await stream.finish()
                async for _ in stream:
                    pass
                reply = stream.reply.value
        if not isinstance(reply, dict) or reply.get("sha256") != digest.hexdigest():
            raise JobFailed("files", f"{path}: what was written is not what was sent.")
        return digest.hexdigest(), size

    async def refuse_unmerged(self, path: str, code: str) -> None:
        """Raises JobFailed if a SQLite file has unmerged changes in files beside it, which a copy would lose."""
        if beside := await self._unmerged(path):
            raise JobFailed(
                code,
                f"{path} has changes that are not merged yet, in {beside}. Close the program that writes it, "
                "or run: PRAGMA wal_checkpoint(TRUNCATE).",
            )

    async def refuse_open(self, path: str) -> None:
        """Raises JobFailed if a program has a SQLite file open, since it would go on writing beside its replacement."""
        await self.refuse_unmerged(path, "target")
        if await self._is_open(path):
            raise JobFailed(
                "target",
                f"{path} is open in another program, as {path}-wal shows. Close that program; "
                "if there is none any more, remove the empty file.",
            )

    async def _unmerged(self, path: str) -> str:
        for beside in (f"{path}-wal", f"{path}-journal"):
            if await self.size(beside):
                return beside
        return ""

    async def _is_open(self, path: str) -> bool:
        return await self.size(f"{path}-wal") is not None


class Download:
    """One file's chunks. sha256, changed: set after the last chunk."""

    def __init__(self, stream: Stream, files: Files) -> None:
        self._stream, self._files = stream, files
        self._digest = hashlib.sha256()
        self.sha256 = ""
        self.changed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._digest.update(chunk)
            self._files.copied += len(chunk)
            yield chunk
        reply = self._stream.reply.value
        facts = reply if isinstance(reply, dict) else {}
        self.sha256 = self._digest.hexdigest()
        self.changed = bool(facts.get("changed"))
        if facts.get("sha256") != self.sha256:
            raise JobFailed("files", "the file that arrived is not the one that was read.")
