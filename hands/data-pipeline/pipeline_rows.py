"""The rows of a job (pure): batches by column, raw records before them, and rejected rows.

Rows travel in batches of some thousands, column by column, because Python converts a list of a thousand strings with one
`map` many times faster than a thousand rows one by one. A batch never holds more than one chunk of the source.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import compress, islice
from operator import itemgetter
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

Value: TypeAlias = bool | int | float | Decimal | date | datetime | str | None
Kind: TypeAlias = Literal["int", "float", "decimal", "bool", "date", "datetime", "text"]
KINDS: Final[tuple[Kind, ...]] = ("int", "float", "decimal", "bool", "date", "datetime", "text")

BATCH_ROWS: Final = 4096
"""Rows of a batch where its maker may choose."""

BATCH_TEXT: Final = 4 * 1024 * 1024
"""Characters of text that make such a batch full, even with fewer rows."""

BATCH_CELLS: Final = 1024 * 1024
"""Values that make a batch full, even with fewer rows."""

_WEIGHED: Final = 32
"""Rows whose text is measured together."""

FAULTS_TOLD: Final = 32
"""Faults in the reason of one row; further ones are only counted."""

RAW_MAX: Final = 64 * 1024
"""Characters of a rejected row's raw form; a longer one is cut and ends in "…"."""


class Column(NamedTuple):
    """A column between two steps."""

    name: str
    kind: Kind


Row: TypeAlias = tuple[Value, ...]


def characters(rows: Sequence[Row], texts: Iterable[int]) -> int:
    """The characters of text in rows. texts: places of the text columns."""
    return sum(sum(map(len, filter(None, map(itemgetter(at), rows)))) for at in texts)


def rows_of(columns: int) -> int:
    """The rows of a full batch with so many columns."""
    return min(BATCH_ROWS, max(1, BATCH_CELLS // max(1, columns)))


def batched(rows: Iterator[Row], weigh: Callable[[Sequence[Row]], int]) -> Iterator[list[Row]]:
    """Groups rows into lists, each as large as a batch may be. weigh: the characters of text in some rows."""
    held: list[Row] = []
    text = 0
    while some := list(islice(rows, _WEIGHED)):
        held += some
        text += weigh(some)
        if len(held) >= rows_of(len(held[0])) or text >= BATCH_TEXT:
            yield held
            held, text = [], 0
    if held:
        yield held


class Records(NamedTuple):
    """Rows as read. rows: lists in the order of the columns, or dicts. numbers: of the rows, from 1."""

    numbers: Sequence[int]
    rows: Sequence[Sequence[object]] | Sequence[dict[str, object]]

    def parts(self, most: int) -> "Iterator[Records]":
        """Splits into Records of at most `most` rows."""
        for at in range(0, len(self.rows), most):
            yield Records(self.numbers[at : at + most], self.rows[at : at + most])


class Reject(NamedTuple):
    """A rejected row. code: a key of REASONS. raw: as read. source: path, "" for the job's own source.

    number: of the row in its source, or of the group after an aggregate.
    """

    number: int
    column: str
    code: str
    reason: str
    raw: object
    source: str = ""


REASONS: Final[dict[str, str]] = {
    "malformed": "The row cannot be read at all: a broken quote, no JSON, bytes that are not in the encoding.",
    "fields": "The row has more or fewer fields than there are columns.",
    "extra": "The row has a column that the schema does not know.",
    "type": "A value is not of its column's type.",
    "required": "A required value is missing.",
    "min": "A value is below the column's `min`.",
    "max": "A value is above the column's `max`.",
    "length": "A text is shorter or longer than the column allows.",
    "choices": "A value is not among the column's `choices`.",
    "pattern": "A text does not match the column's `pattern`.",
    "unique": "The value of a unique column was seen before.",
    "expression": "An expression cannot be worked out for this row.",
    "join": 'The row has no partner in the second source, and the step says `unmatched = "reject"`.',
    "constraint": "The target's table does not take the row.",
}
"""Why a row may be rejected, by code."""


@dataclass(slots=True)
class Batch:
    """Some rows by column: `columns[i][j]` is the value of column i in row j.

    numbers: per row the number of the source row it came from. raws: per row what the reader found, None once rows are
    no longer one to one with those of the source.
    """

    columns: list[list[Value]]
    numbers: Sequence[int]
    raws: Sequence[object] | None = None

    @property
    def size(self) -> int:
        return len(self.numbers)

    def keep(self, chosen: Sequence[object]) -> "Batch":
        """The rows whose entry in `chosen` is true."""
        return Batch(
            columns=[list(compress(column, chosen)) for column in self.columns],
            numbers=list(compress(self.numbers, chosen)),
            raws=None if self.raws is None else list(compress(self.raws, chosen)),
        )

    def without(self, rows: Iterable[int]) -> "Batch":
        """All but the rows at these places."""
        chosen = [True] * self.size
        for row in rows:
            chosen[row] = False
        return self.keep(chosen)

    def raw(self, row: int, columns: Sequence[Column]) -> object:
        """A row as shown to a person: as read, or else its present values."""
        if self.raws is not None:
            return self.raws[row]
        return {column.name: values[row] for column, values in zip(columns, self.columns, strict=True)}


@dataclass(slots=True)
class Faults:
    """The faults of one batch, by row, so that a row is rejected once, with all of them."""

    found: dict[int, list[tuple[str, str, str]]] = field(default_factory=dict)

    def add(self, row: int, column: str, code: str, reason: str) -> None:
        """Adds a fault of the row at this place."""
        self.found.setdefault(row, []).append((column, code, reason))

    def split(self, batch: Batch, columns: Sequence[Column], ledger: "Ledger") -> Batch:
        """Sends the faulty rows to the ledger. Returns the rest."""
        if not self.found:
            return batch
        for row in sorted(self.found):
            faults = self.found[row]
            reason = "; ".join(f"{column}: {text}" if column else text for column, _, text in faults[:FAULTS_TOLD])
            reason += f"; and {len(faults) - FAULTS_TOLD} more" if len(faults) > FAULTS_TOLD else ""
            ledger.reject(Reject(batch.numbers[row], faults[0][0], faults[0][1], reason, batch.raw(row, columns)))
        return batch.without(self.found)


class Ledger:
    """Counts rejected rows and passes each to `keep`, which stores it."""

    def __init__(self, keep: Callable[[Reject], None]) -> None:
        self._keep = keep
        self.by_code: Counter[str] = Counter()
        self.by_column: Counter[str] = Counter()
        self.first: list[Reject] = []

    def reject(self, reject: Reject) -> None:
        """Adds one rejected row."""
        self.by_code[reject.code] += 1
        self.by_column[reject.column] += 1
        if len(self.first) < 5:
            self.first.append(reject)
        self._keep(reject)

    @property
    def total(self) -> int:
        return self.by_code.total()


ODD_SIZE: Final = 1024 * 1024
"""Characters that an object counts for whose JSON cannot be made: as many as a record may have."""

JSON: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
"""Encodes lists and objects as text; decimals in them stay numbers."""


def text_size(row: Sequence[object] | dict[str, object]) -> int:
    """The characters of text in a row as read, about; of an object, those of its JSON."""
    if not isinstance(row, dict):
        return sum(len(value) for value in row if isinstance(value, str | bytes))
    try:
        return len(JSON.encode(row))
    except (UnicodeEncodeError, RecursionError):
        return ODD_SIZE


def raw_text(raw: object) -> str:
    """A raw row as text: text as it is, anything else as JSON; cut at RAW_MAX characters."""
    text = raw if isinstance(raw, str) else _as_json(raw)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= RAW_MAX else text[: RAW_MAX - 1] + "…"


def _as_json(raw: object) -> str:
    try:
        return JSON.encode(raw).decode()
    except UnicodeEncodeError:  # undecodable bytes are lone surrogates
        return json.dumps(raw, default=str, separators=(",", ":"))
    except RecursionError:
        return "it lies too deep within itself to be shown"
