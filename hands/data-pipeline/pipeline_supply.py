"""Reads sources as batches of typed rows (acts through Files): files as a stream, a database from a copy."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

from pipeline_database import DatabaseSource
from pipeline_errors import JobFailed
from pipeline_files import Files
from pipeline_intake import Intake
from pipeline_rows import Batch, Column, Ledger
from pipeline_schema import Settled
from pipeline_scratch import Scratch, Stage
from pipeline_spec import Join, Schema, Source, Step

ReportProgress = Callable[[int, int, str], Awaitable[None]]
"""Reports progress: bytes done, bytes in all, text."""

Supplied = AsyncIterator[tuple[Intake, Iterator[Batch]]]


class Supply:
    """All sources of a job. total: their bytes. notes: what a person should know about them. partner_rows: read for joins."""

    def __init__(self, files: Files, folder: Path, report: ReportProgress) -> None:
        self.files = files
        self.total = 0
        self.notes: list[str] = []
        self.partner_rows = 0
        self._folder, self._report = folder, report

    async def measure(self, sources: Sequence[Source]) -> None:
        """Adds up the sizes of the sources. Raises JobFailed if one is missing."""
        for source in sources:
            size = await self.files.size(source.path)
            if size is None:
                raise JobFailed("source", f"{source.path}: there is no such file.")
            self.total += size

    async def report(self, text: str) -> None:
        """Reports the progress of reading."""
        await self._report(min(self.files.copied, self.total), self.total, text)

    async def source(self, source: Source, schema: Schema, ledger: Ledger, at: str) -> Supplied:
        """Yields (the source's intake, the batches that are ready), repeatedly. at: the key of its schema."""
        if source.format == "sqlite":
            async for item in self._database(source, schema, ledger, at):
                yield item
            return
        intake = Intake(source, schema, ledger, at=at)
        async with self.files.reading(source.path) as download:
            async for chunk in download:
                yield intake, intake.feed(chunk)
        if download.changed:
            self.notes.append(f"{source.path} was changed while it was read.")
        yield intake, intake.finish()

    async def _database(self, source: Source, schema: Schema, ledger: Ledger, at: str) -> Supplied:
        await self.files.refuse_unmerged(source.path, "source")
        path = self._folder / "source.db"

        async def on_bytes() -> None:
            await self.report(f"copying {source.path}")

        download = await self.files.fetch(source.path, path, on_bytes)
        if download.changed:
            raise JobFailed("source", f"{source.path} was changed while it was copied. Start the job again.")
        database = DatabaseSource(path, source.table, source.path)
        try:
            intake = Intake(source, schema, ledger, at=at, names=database.names)
            for records in database.records():
                yield intake, intake.take(records)
            yield intake, intake.finish()
        finally:
            database.close()
            path.unlink()

    async def partners(self, steps: Sequence[Step], scratch: Scratch, ledger: Ledger) -> dict[int, Stage]:
        """Reads the second source of each join into the scratch database. Returns step number → rows."""
        found: dict[int, Stage] = {}
        for number, step in enumerate(steps, 1):
            if isinstance(step, Join):
                found[number] = await self._partner(number, step, scratch, ledger)
        return found

    async def _partner(self, number: int, step: Join, scratch: Scratch, ledger: Ledger) -> Stage:
        path = step.source.path
        own = Ledger(lambda reject: ledger.reject(reject._replace(source=path)))
        stage: Stage | None = None
        settled: Settled | None = None
        rows = 0
        async with aclosing(self.source(step.source, step.schema, own, f"steps[{number}].schema")) as supplied:  # type: ignore[type-var]
            async for intake, batches in supplied:
                for batch in batches:
                    settled = intake.settled
                    stage = stage or scratch.table(_columns(settled))
                    stage.add(batch)
                settled, rows = intake.settled, intake.rows
                await self.report(f"reading {path}")
        self.partner_rows += rows
        self.notes += [f"{path}: {note}" for note in settled.notes] if settled else []
        return stage or scratch.table(_columns(settled))


def _columns(settled: Settled | None) -> Sequence[Column]:
    assert settled is not None  # the schema is settled once the source has ended
    return settled.columns
