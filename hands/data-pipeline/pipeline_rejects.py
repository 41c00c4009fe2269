"""Stores rejected rows until the job's end (acts, on one file in the scratch folder): one JSON object per line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from pipeline_errors import JobFailed
from pipeline_replies import cut, reject_facts
from pipeline_rows import Ledger, Reject, Value, raw_text
from pipeline_spec import RejectLimit

SUFFIX: Final = ".rejected.jsonl"
"""Suffix of the file with a CSV or JSON Lines target's rejected rows."""


class RejectStore:
    """The file of rejected rows. source: the source's path; loaded: the job's time, RFC 3339. Every line has both."""

    def __init__(self, path: Path, source: str, loaded: str) -> None:
        self.path = path
        self._source, self._loaded = source, loaded
        self._encoder = msgspec.json.Encoder()
        self._file = path.open("wb")

    def keep(self, reject: Reject) -> None:
        """Writes one row."""
        line = {
            "source": reject.source or self._source, "row": reject.number, "column": reject.column, "code": reject.code,
            "reason": reject.reason, "raw": raw_text(reject.raw), "loaded": self._loaded,
        }  # fmt: skip
        self._file.write(self._encoder.encode(line) + b"\n")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def rows(self) -> Iterator[tuple[Value, ...]]:
        """The rows in the order of the table of rejected rows. Call it after `close`."""
        with self.path.open("rb") as file:
            for line in file:
                yield tuple(msgspec.json.decode(line).values())


def check_limit(limit: RejectLimit, ledger: Ledger, rows: int) -> None:
    """Raises JobFailed("rejects") if more rows were rejected than the spec allows. rows: number of rows read."""
    if limit.allows(ledger.total, rows):
        return
    reasons = ", ".join(f"{code} {count}" for code, count in ledger.by_code.most_common())
    first = "; ".join(f"row {reject.number}: {cut(reject.reason)}" for reject in ledger.first[:3])
    raise JobFailed(
        "rejects",
        f"{ledger.total} of {rows} rows were rejected ({reasons}), more than reject_at_most = {limit} allows, so "
        f"nothing was loaded. First: {first}. Mend the rows or the schema, or allow more.",
        rejected=dict(ledger.by_code),
        first=reject_facts(ledger.first),
    )
