"""Turns a source's bytes into typed rows (pure): reader, sample and schema in one.

Nothing comes out before SAMPLE_ROWS rows are in or the source ends: then the schema is settled, and the rows held back come
first. So the inferred schema does not depend on how the bytes were cut.
"""

from collections.abc import Iterator, Sequence

from pipeline_readers import Reader, reader_for
from pipeline_rows import BATCH_CELLS, Batch, Ledger, Records
from pipeline_schema import SAMPLE_ROWS, Settled, settle
from pipeline_spec import Schema, Source


class Intake:
    """One source's intake. at: the schema's key in the spec, for problems. names: columns of a SQLite source."""

    def __init__(self, source: Source, schema: Schema, ledger: Ledger, *, at: str, names: Sequence[str] = ()) -> None:
        self._source, self._schema, self._ledger, self._at = source, schema, ledger, at
        exact = any(rule.kind == "decimal" for rule in schema.columns)
        self._reader: Reader | None = None if source.format == "sqlite" else reader_for(source, ledger, exact=exact)
        self._names = tuple(names)
        self._taken = 0
        self._sample: list[Records] = []
        self._settled: Settled | None = None

    @property
    def settled(self) -> Settled | None:
        """The schema; None until it is settled."""
        return self._settled

    @property
    def rows(self) -> int:
        """Rows read so far, broken ones included."""
        return self._taken if self._reader is None else self._reader.rows

    def feed(self, chunk: bytes) -> Iterator[Batch]:
        """Takes bytes of the source."""
        assert self._reader is not None
        for records in self._reader.feed(chunk):
            yield from self.take(records)

    def take(self, records: Records) -> Iterator[Batch]:
        """Takes rows of a SQLite source."""
        self._taken += len(records.rows)
        if self._settled is not None:
            yield from self._batches(self._settled, records)
            return
        self._sample.append(records)
        if self._taken >= SAMPLE_ROWS:
            yield from self._settle()

    def finish(self) -> Iterator[Batch]:
        """Ends the source."""
        if self._reader is not None:
            for records in self._reader.finish():
                yield from self.take(records)
        if self._settled is None:
            yield from self._settle()

    def _settle(self) -> Iterator[Batch]:
        source = self._source
        names = self._names if self._reader is None else self._reader.names
        textual = source.format == "csv"
        nulls = source.nulls if textual else ()
        self._settled = settle(self._schema, names, self._sample, nulls=nulls, textual=textual, at=self._at)
        sample, self._sample = self._sample, []
        for records in sample:
            yield from self._batches(self._settled, records)

    def _batches(self, settled: Settled, records: Records) -> Iterator[Batch]:
        """Splits records into batches of BATCH_CELLS: rows of an empty JSON object are tiny to read but get all columns."""
        for part in records.parts(max(1, BATCH_CELLS // len(settled.columns))):
            yield settled.batch(part, self._ledger)
