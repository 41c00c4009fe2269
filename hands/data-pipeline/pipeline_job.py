"""Runs one job (acts through Files): fetches the target, streams the source through the steps, puts the target back.

All or nothing: the target is changed in the scratch folder and put back whole at the end, only if the original is still
what was fetched. An error before that leaves it unchanged.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Self

from pipeline_chain import Chain
from pipeline_database import REJECTED, DatabaseTarget, TableSink
from pipeline_errors import JobFailed
from pipeline_files import ABSENT, Files
from pipeline_intake import Intake
from pipeline_plan import OpenTable, Sink, plan
from pipeline_rejects import SUFFIX, RejectStore, check_limit
from pipeline_replies import column_facts, cut
from pipeline_rows import Batch, Column, Ledger
from pipeline_schema import Settled
from pipeline_scratch import Scratch
from pipeline_spec import Join, Save, Source, Spec
from pipeline_supply import ReportProgress, Supply
from pipeline_text_target import TextTarget


class Bench:
    """What a job and a preview share: scratch database, rejected rows, sources. A context manager."""

    def __init__(self, spec: Spec, files: Files, folder: Path, *, now: str, report: ReportProgress) -> None:
        self.spec, self.folder = spec, folder
        self.supply = Supply(files, folder, report)
        self.held = ExitStack()
        self.store = RejectStore(folder / "rejected.jsonl", spec.source.path, now)
        self.held.callback(self.store.close)
        self.scratch = Scratch(str(folder / "scratch.db"))
        self.held.callback(self.scratch.close)
        self.ledger = Ledger(self.store.keep)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.held.close()

    @property
    def sources(self) -> list[Source]:
        """The job's source and those of its joins."""
        return [self.spec.source, *(step.source for step in self.spec.steps if isinstance(step, Join))]

    async def planner(self, open_table: OpenTable) -> "Callable[[Settled], Chain]":
        """Reads the joins' second sources. Returns a function that makes the chain for a schema, or raises SpecInvalid."""
        partners = await self.supply.partners(self.spec.steps, self.scratch, self.ledger)

        def make(settled: Settled) -> Chain:
            return plan(
                self.spec.steps, settled.columns, unique=settled.unique, scratch=self.scratch, partners=partners,
                open_table=open_table, key=self.spec.target.key,
            )  # fmt: skip

        return make


class Job:
    """One run of a spec on a bench."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self._spec, self._files = bench, bench.spec, bench.supply.files
        self._target = bench.folder / "target"
        self._database: DatabaseTarget | None = None
        self._saved: list[tuple[str, TableSink]] = []

    async def run(self) -> dict[str, object]:
        """Does the job. Returns its result. Raises SpecInvalid or JobFailed; the target is then unchanged."""
        bench, supply = self._bench, self._bench.supply
        await supply.measure(bench.sources)
        expect = await self._fetch_target()
        make_chain = await bench.planner(self._open_saved)
        intake, chain, sink = await self._stream(make_chain)
        check_limit(self._spec.reject_at_most, bench.ledger, intake.rows + supply.partner_rows)
        rejects_in = await self._close(sink)
        sha256, size = await self._put(expect)
        assert intake.settled is not None
        return self._result(intake.rows, intake.settled, chain, sink) | {
            "rejects_in": rejects_in, "target": self._target_facts(sha256, size),
        }  # fmt: skip

    # source to target-----------------------------------------------------------------------------------------------

    async def _fetch_target(self) -> str:
        """Copies the existing target, if it is needed. Returns its digest, or ABSENT."""
        target = self._spec.target
        if target.format == "sqlite":
            await self._files.refuse_open(target.path)
        if await self._files.size(target.path) is None:
            if target.format == "sqlite":
                self._open_database()
            return ABSENT
        if target.mode == "create" and target.format != "sqlite":
            raise JobFailed("target", f'{target.path} is there already. Write mode = "append" or "replace".')
        download = await self._files.fetch(target.path, self._target, self._on_bytes)
        self._files.copied = 0
        if download.changed:
            raise JobFailed("conflict", f"{target.path} was changed while it was copied. Start the job again.")
        if target.format == "sqlite":
            self._open_database()
        return download.sha256

    async def _on_bytes(self) -> None:
        await self._bench.supply.report(f"copying {self._spec.target.path}")

    def _open_database(self) -> None:
        self._database = DatabaseTarget(self._target, self._spec.target.path)
        self._bench.held.callback(self._database.close)

    async def _stream(self, make_chain: Callable[[Settled], Chain]) -> tuple[Intake, Chain, "TableSink | TextTarget"]:
        spec, ledger, supply = self._spec, self._bench.ledger, self._bench.supply
        chain: Chain | None = None
        sink: TableSink | TextTarget | None = None
        intake: Intake | None = None
        async with aclosing(supply.source(spec.source, spec.schema, ledger, "schema")) as supplied:  # type: ignore[type-var]
            async for intake, batches in supplied:
                for batch in batches:
                    if chain is None or sink is None:
                        chain, sink = self._begin(make_chain, intake)
                    self._drain(chain.feed(batch, ledger), sink)
                await supply.report(f"{intake.rows} rows")
        assert intake is not None
        if chain is None or sink is None:
            chain, sink = self._begin(make_chain, intake)
        self._drain(chain.finish(ledger), sink)
        return intake, chain, sink

    def _drain(self, batches: Iterator[Batch], sink: Sink) -> None:
        for done in batches:
            sink.write(done, self._bench.ledger)

    def _begin(self, make_chain: Callable[[Settled], Chain], intake: Intake) -> tuple[Chain, "TableSink | TextTarget"]:
        """(the chain for the settled schema, the sink for its rows)."""
        assert intake.settled is not None
        chain, target = make_chain(intake.settled), self._spec.target
        if self._database is not None:
            return chain, self._database.table(target.table, chain.columns, target.mode, target.key)
        append = target.mode == "append" and self._target.exists()
        text = TextTarget(self._target, target, chain.columns, append=append)
        self._bench.held.callback(text.close)
        return chain, text

    def _open_saved(self, save: Save, columns: Sequence[Column]) -> Sink:
        assert self._database is not None  # pipeline_check.py requires a SQLite target for save steps
        self._saved.append((save.table, self._database.table(save.table, columns, save.mode, save.key)))
        return self._saved[-1][1]

    # the end --------------------------------------------------------------------------------------------------------

    async def _close(self, sink: "TableSink | TextTarget") -> str:
        """Closes the target and stores the rejected rows in it or beside it. Returns where they are, or ""."""
        bench, target = self._bench, self._spec.target
        bench.store.close()
        if self._database is not None:
            fresh = target.mode in ("create", "replace")
            some = bench.ledger.total > 0
            self._database.keep_rejects(target.table, bench.store.rows(), fresh=fresh, some=some)
            self._database.commit()
            return target.table + REJECTED if some else ""
        assert isinstance(sink, TextTarget)
        sink.close()
        beside = target.path + SUFFIX
        if not bench.ledger.total and await self._files.size(beside) is None:
            return ""
        await self._files.put(beside, bench.store.path, expect=None, make_folders=target.make_folders)
        return beside

    async def _put(self, expect: str) -> tuple[str, int]:
        target = self._spec.target
        return await self._files.put(
            target.path, self._target, expect=expect, make_folders=target.make_folders,
            is_sqlite=target.format == "sqlite",
        )  # fmt: skip

    def _target_facts(self, sha256: str, size: int) -> dict[str, object]:
        target = self._spec.target
        return {"path": target.path, "table": target.table, "mode": target.mode, "sha256": sha256, "size": size}

    def _result(self, rows: int, settled: Settled, chain: Chain, sink: "TableSink | TextTarget") -> dict[str, object]:
        spec, supply, ledger = self._spec, self._bench.supply, self._bench.ledger
        kept = self._database.notes if self._database is not None else []
        return {
            "name": spec.name,
            "rows_read": rows,
            "rows_written": sink.written,
            "rows_rejected": ledger.total,
            "rejected": dict(ledger.by_code),
            "first_rejected": [
                {"row": r.number, "column": cut(r.column), "reason": cut(r.reason)} for r in ledger.first
            ],
            "bytes_read": self._files.copied,
            "source": {"path": spec.source.path, "format": spec.source.format},
            "saved": {table: sink.written for table, sink in self._saved},
            "steps": [
                {"step": cut(link.name), "rows_in": link.rows_in, "rows_out": link.rows_out} for link in chain.links
            ],
            **column_facts(spec, settled, chain.columns, [*supply.notes, *kept, *settled.notes]),
        }
