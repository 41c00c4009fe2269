"""Turns a source's bytes into typed rows (pure): reader, sample and schema in one.

Nothing comes out before SAMPLE_ROWS rows or SAMPLE_TEXT characters are in, or the source ends: then the schema is settled,
and the rows held back come first. So the inferred schema does not depend on how the bytes were cut.
"""

from collections.abc import Iterator, Sequence

from pipeline_errors import JobFailed
from pipeline_readers import Reader, reader_for
from pipeline_rows import BATCH_CELLS, Batch, Ledger, Records, text_size
from pipeline_schema import SAMPLE_ROWS, SAMPLE_TEXT, Settled, settle
from pipeline_spec import Schema, Source


class Intake:
    """One source's intake. at: the schema's key in the spec, for problems. names: columns of a SQLite source.

    ended: whether the source has ended.
    """

    def __init__(self, source: Source, schema: Schema, ledger: Ledger, *, at: str, names: Sequence[str] = ()) -> None:
        self._source, self._schema, self._ledger, self._at = source, schema, ledger, at
        exact = any(rule.kind == "decimal" for rule in schema.columns)
        self._reader: Reader | None = None if source.format == "sqlite" else reader_for(source, ledger, exact=exact)
        self._names = tuple(names)
        self._taken = 0
        self._held: list[Records] = []
        self._sample: list[object] = []
        self._room = SAMPLE_TEXT
        self.ended = False
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
        self._held.append(records)
        for row in records.rows:
            self._sample.append(row)
            self._room -= text_size(row)
            if len(self._sample) == SAMPLE_ROWS or self._room <= 0:
                yield from self.settle()
                return

    def finish(self) -> Iterator[Batch]:
        """Ends the source."""
        self.ended = True
        if self._reader is not None:
            for records in self._reader.finish():
                yield from self.take(records)
        if self._settled is None:
            yield from self.settle()

    def settle(self) -> Iterator[Batch]:
        """Settles the schema by the rows read so far, although they may be few."""
        source = self._source
        names = self._names if self._reader is None else self._reader.names
        textual = source.format == "csv"
        nulls = source.nulls if textual else ()
        try:
            self._settled = settle(self._schema, names, self._sample, nulls=nulls, textual=textual, at=self._at)
        except JobFailed as failed:
            raise JobFailed(failed.code, f"{source.path}: {self._no_row() or failed.text}") from None
        held, self._held, self._sample = self._held, [], []
        for records in held:
            yield from self._batches(self._settled, records)

    def _no_row(self) -> str:
        """That there were rows, and none of them whole; "" otherwise."""
        first = next((one for one in self._ledger.first if not one.source), None)
        if first is None or self._taken:
            return ""
        return f"none of the {self.rows} rows read is whole; row {first.number}: {first.reason}"

    def _batches(self, settled: Settled, records: Records) -> Iterator[Batch]:
        """Splits records into batches of BATCH_CELLS: rows of an empty JSON object are tiny to read but get all columns."""
        for part in records.parts(max(1, BATCH_CELLS // len(settled.columns))):
            yield settled.batch(part, self._ledger)
