"""A kernel that has only files.*, over a real temporary folder, and shorthands for running jobs on it (acts)."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import apsw
import pytest

from runtime import CallFailed, CallRefused, Reply
from tests.hands.doubles import hand_module
from wire.codec import Value

T = TypeVar("T")
CHUNK = 256 * 1024

pipeline_check = hand_module("data-pipeline", "pipeline_check")
pipeline_files = hand_module("data-pipeline", "pipeline_files")
pipeline_job = hand_module("data-pipeline", "pipeline_job")
pipeline_look = hand_module("data-pipeline", "pipeline_look")


def run(work: Coroutine[object, object, T]) -> T:
    """The work's result; a test that waits for ever fails instead."""
    return asyncio.run(asyncio.wait_for(work, 60))


class FakeKernel:
    """files.stat, files.read and files.write under one folder that stands for all roots.

    before_write: called with the path before a file is replaced; on_chunk: when a piece of it has come.
    cut: chunks after which every read fails, None never. reply: changes what is answered after a method's chunks.
    refusal: what the kernel answers to every call instead, None for none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before_write: Callable[[str], None] = lambda _: None
        self.on_chunk: Callable[[str], object] = lambda _: None
        self.cut: int | None = None
        self.reply: Callable[[str, str, dict[str, object]], dict[str, object]] = lambda _, __, value: value
        self.refusal: CallRefused | None = None
        self.calls: list[tuple[str, str]] = []
        self.chunk = CHUNK

    async def call(self, method: str, resource: str, /, **arguments: object) -> Reply:
        self.calls.append((method, resource))
        if self.refusal is not None:
            raise self.refusal
        path = self.folder / resource
        if method != "files.stat":
            raise CallFailed("capability", f"{method} is not here")
        if not path.exists():
            raise CallFailed("not found", f"{resource}: there is nothing of that name.")
        return Reply(value={"kind": "file", "size": path.stat().st_size}, labels=(), cost=None)

    def stream(
        self, method: str, resource: str, /, *, timeout: float | None = None, upload: bool = False,
        expect: str | None = None, make_folders: bool = False,
    ) -> "FakeStream":  # fmt: skip
        self.calls.append((method, resource))
        assert upload == (method == "files.write")
        return FakeStream(self, method, resource, expect)


class FakeStream:
    def __init__(self, kernel: FakeKernel, method: str, resource: str, expect: str | None) -> None:
        self._kernel, self._resource, self._expect = kernel, resource, expect
        self._path = kernel.folder / resource
        self._read = method == "files.read"
        self._sent = bytearray()
        self._digest = hashlib.sha256()
        self._chunks = 0
        self.reply: Reply | None = None

    async def __aenter__(self) -> Self:
        if self._kernel.refusal is not None:
            raise self._kernel.refusal
        if self._read:
            if not self._path.is_file():
                raise CallFailed("not found", f"{self._resource}: there is nothing of that name.")
            self._file = self._path.open("rb")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._read:
            self._file.close()

    def __aiter__(self) -> "FakeStream":
        return self

    async def __anext__(self) -> bytes:
        if self._kernel.cut is not None and self._chunks >= self._kernel.cut:
            raise CallFailed("disk error", f"{self._resource}: the disk is broken.")
        chunk = self._file.read(self._kernel.chunk) if self._read else b""
        if not chunk:
            if self._read:
                self._end({"sha256": self._digest.hexdigest(), "changed": False})
            raise StopAsyncIteration
        self._chunks += 1
        self._digest.update(chunk)
        return chunk

    async def send(self, chunk: bytes) -> None:
        self._sent += chunk
        self._kernel.on_chunk(self._resource)

    async def finish(self) -> None:
        self._kernel.before_write(self._resource)
        there = hashlib.sha256(self._path.read_bytes()).hexdigest() if self._path.exists() else "absent"
        if self._expect is not None and self._expect != there:
            raise CallFailed(
                "exists" if self._expect == "absent" else "conflict", f"{self._resource} is not what it was."
            )
        self._path.write_bytes(self._sent)
        self._end({"size": len(self._sent), "sha256": hashlib.sha256(self._sent).hexdigest()})

    def _end(self, value: dict[str, object]) -> None:
        method = "files.read" if self._read else "files.write"
        told: Value = self._kernel.reply(method, self._resource, value)  # type: ignore[assignment]
        self.reply = Reply(value=told, labels=(), cost=None)


class Place:
    """A folder of files and the jobs that are run on it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        (self.root / "data").mkdir(parents=True)
        self.kernel = FakeKernel(self.root)
        self.told: list[tuple[int, int, str]] = []
        self._folder = folder
        self._jobs = 0

    def put(self, name: str, content: str | bytes) -> str:
        """Writes a file; its path as a spec names it."""
        raw = content.encode() if isinstance(content, str) else content
        (self.root / "data" / name).write_bytes(raw)
        return f"data/{name}"

    def text(self, name: str) -> str:
        """A file's text."""
        return (self.root / "data" / name).read_text(encoding="utf-8")

    def path(self, name: str) -> Path:
        """Where a file is."""
        return self.root / "data" / name

    def bench(self, spec: object) -> "pipeline_job.Bench":  # type: ignore[name-defined]  # loaded by name
        self._jobs += 1
        folder = self._folder / f"job{self._jobs}"
        folder.mkdir()

        async def tell(done: int, total: int, text: str) -> None:
            self.told.append((done, total, text))

        files = pipeline_files.Files(self.kernel)
        return pipeline_job.Bench(spec, files, folder, now="2026-11-21T00:00:00Z", report=tell)

    def job(self, table: dict[str, object] | str) -> dict[str, object]:
        """Runs the job of a spec (TOML text, or its tables)."""
        spec = (
            pipeline_check.check_text(table.encode()) if isinstance(table, str) else pipeline_check.check_table(table)
        )
        with self.bench(spec) as bench:
            result: dict[str, object] = run(pipeline_job.Job(bench).run())
            return result

    def load(
        self, content: str, *steps: Mapping[str, object], name: str = "in.csv", **spec: object
    ) -> list[dict[str, object]]:
        """The rows that some content becomes, by way of a JSON Lines target. The result is kept as self.result."""
        source = {"path": self.put(name, content), **spec.pop("source", {})}  # type: ignore[dict-item]
        target = {"path": "data/out.jsonl", "mode": "replace"}
        self.result = self.job({"source": source, "target": target, "steps": list(steps), **spec})
        return [json.loads(line) for line in self.text("out.jsonl").splitlines()]

    def rejects(self, name: str = "out.jsonl") -> list[dict[str, object]]:
        """The rejected rows beside a text target."""
        return [json.loads(line) for line in self.text(f"{name}.rejected.jsonl").splitlines()]

    def query(self, name: str, sql: str) -> list[tuple[object, ...]]:
        """What a query finds in a database."""
        connection = apsw.Connection(str(self.path(name)), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


def database(place: Place, *statements: str, name: str = "shop.db") -> None:
    """Makes a database."""
    connection = apsw.Connection(str(place.path(name)))
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place of its own."""
    return Place(tmp_path)
