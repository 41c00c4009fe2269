"""The description of one job as values (pure): what pipeline_check.py makes of a spec file or of inputs.

Every name and number here was checked. What only the source can show (its columns and their types) is checked by
pipeline_plan.py. README.md lists the keys of a spec file.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal, TypeAlias

import msgspec

from pipeline_rows import Kind

Format: TypeAlias = Literal["csv", "json", "jsonl", "sqlite"]
Mode: TypeAlias = Literal["create", "append", "replace", "upsert"]
Extra: TypeAlias = Literal["infer", "ignore", "reject"]
Unmatched: TypeAlias = Literal["drop", "keep", "reject"]
Bound: TypeAlias = int | float | Decimal | date | datetime

SUFFIXES: Final[dict[str, Format]] = {
    ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite",
}  # fmt: skip
"""The format that a path's suffix declares."""

STEPS_MAX: Final = 64
REJECTS_DEFAULT: Final = "10%"


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of a spec."""


class Source(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where rows come from. columns: names for a CSV without a header, or instead of it. records: the key of the array in
    a JSON document. encoding "": UTF-8, or UTF-16 if the file begins with its byte order mark.
    """

    path: str
    format: Format
    delimiter: str = ","
    quote: str = '"'
    encoding: str = ""
    header: bool = True
    columns: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ("",)
    table: str = ""
    records: str = ""


class ColumnRule(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of a column. kind None: inferred. form: the strptime format of its dates."""

    name: str
    kind: Kind | None = None
    form: str = ""
    required: bool = False
    min: Bound | None = None
    max: Bound | None = None
    min_length: int | None = None
    max_length: int | None = None
    choices: tuple[str | int | float | bool, ...] = ()
    pattern: str = ""
    unique: bool = False


class Schema(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The declared columns, and what happens to columns of the source that are not declared."""

    columns: tuple[ColumnRule, ...] = ()
    extra: Extra = "infer"


class Select(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keeps these columns, in this order; or all but those of `drop`."""

    columns: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class Rename(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Old name → new name."""

    columns: dict[str, str]


class Cast(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Column → new type."""

    columns: dict[str, Kind]
    form: str = ""


class Derive(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new column, or a new value of an old one, from an expression."""

    column: str
    value: str
    kind: Kind | None = None


class Filter(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keeps the rows for which the expression is true."""

    where: str


class Join(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Adds columns of a second source. on: pairs (column here, there); take: columns there, () for all others."""

    source: Source
    schema: Schema
    on: tuple[tuple[str, str], ...]
    take: tuple[str, ...] = ()
    prefix: str = ""
    unmatched: Unmatched = "drop"


class Measure(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One result column of an aggregate: function of column; column "" only for count."""

    name: str
    function: str
    column: str = ""


class Aggregate(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Groups. by: pairs (name, expression), the expression "" where the name is a column."""

    by: tuple[tuple[str, str], ...]
    measures: tuple[Measure, ...]


class Deduplicate(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row for each distinct value of these columns (() for all columns)."""

    by: tuple[str, ...] = ()
    keep: Literal["first", "last"] = "first"


class Sort(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By these columns; true: largest first. No value counts as smallest. Equal rows keep their order."""

    by: tuple[tuple[str, bool], ...]


class Save(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Also writes the rows as they are here into another table of the (SQLite) target."""

    table: str
    mode: Mode = "create"
    key: tuple[str, ...] = ()


Step: TypeAlias = Select | Rename | Cast | Derive | Filter | Join | Aggregate | Deduplicate | Sort | Save


class Target(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where rows go."""

    path: str
    format: Literal["csv", "jsonl", "sqlite"]
    table: str = ""
    mode: Mode = "create"
    key: tuple[str, ...] = ()
    delimiter: str = ","
    make_folders: bool = False


class RejectLimit(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most rows that may be rejected: a count, or a share of the rows read, exact."""

    count: int | None = None
    percent: Decimal = Decimal(0)

    def allows(self, rejected: int, rows: int) -> bool:
        """Whether `rejected` of `rows` read rows are within the limit."""
        return rejected <= self.count if self.count is not None else 100 * rejected <= self.percent * rows

    def __str__(self) -> str:
        return str(self.count) if self.count is not None else f"{self.percent}%"


class Spec(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One job."""

    name: str
    source: Source
    schema: Schema
    steps: tuple[Step, ...]
    target: Target
    reject_at_most: RejectLimit
