"""The steps that must see other rows (pure but for the scratch database): join, aggregate, deduplicate, sort, unique.

They hold rows in the scratch database, so their memory does not grow with the rows.
"""

# ruff: noqa: S608  names in SQL are numbered here or go through `quoted`; values are always bound

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from math import isfinite
from typing import Final

import apsw

from pipeline_errors import JobFailed
from pipeline_rows import (
    BATCH_TEXT,
    Batch,
    Column,
    Faults,
    Kind,
    Ledger,
    Row,
    Value,
    batched,
    characters,
    rows_of,
)
from pipeline_scratch import Scratch, Stage, restored, stored
from pipeline_spec import Unmatched
from pipeline_steps import OneByOne
from pipeline_values import EXACT

MEDIANS_MAX: Final = 60
"""Most medians of one step: each is a join in the query, and SQLite joins 64 tables at most."""

PARTNERS_KEPT, TEXT_KEPT = 100_000, 8 * 1024 * 1024
"""Keys and partners that a join caches, and characters in them; beyond that it empties the cache. Partners of one key that
fill a batch are not cached, but read when needed.
"""


class Sorted:
    """sort: by columns at these places; true: largest first. Stable; no value counts as smallest."""

    def __init__(self, before: Sequence[Column], by: Sequence[tuple[int, bool]], scratch: Scratch) -> None:
        self.columns = tuple(before)
        self._stage = scratch.table(before)
        self._order = ", ".join([f"c{at} {'DESC' if down else 'ASC'}" for at, down in by] + ["n"])

    def feed(self, batch: Batch, ledger: Ledger) -> Iterable[Batch]:
        """Stores the rows."""
        self._stage.add(batch)
        return ()

    def finish(self, ledger: Ledger) -> Iterator[Batch]:
        """Yields all rows in order."""
        yield from self._stage.batches(self._order)
        self._stage.drop()


class FirstOnly(OneByOne):
    """deduplicate, keep = "first": a row whose key was seen is dropped. No value equals no value."""

    def __init__(self, before: Sequence[Column], places: Sequence[int], scratch: Scratch) -> None:
        super().__init__(before, before)
        self._seen = _Seen(before, places, scratch)

    def change(self, batch: Batch, ledger: Ledger) -> Batch:
        """The rows with new keys."""
        return batch.keep(self._seen.new(batch))


class LastOnly:
    """deduplicate, keep = "last": of the rows with one key, keeps the last, at its own position."""

    def __init__(self, before: Sequence[Column], places: Sequence[int], scratch: Scratch) -> None:
        self.columns = tuple(before)
        self._places = tuple(places)
        self._stage = scratch.table([*before, Column("key", "text")], unique=[len(before)])

    def feed(self, batch: Batch, ledger: Ledger) -> Iterable[Batch]:
        """Stores the rows."""
        keys = _keys(self.columns, batch, self._places)
        self._stage.replace(Batch([*batch.columns, keys], batch.numbers))
        return ()

    def finish(self, ledger: Ledger) -> Iterator[Batch]:
        """Yields the last row of each key."""
        for batch in self._stage.batches():
            yield Batch(batch.columns[:-1], batch.numbers)
        self._stage.drop()


class Unique(OneByOne):
    """The schema's `unique`: rejects a row whose value in that column was seen before. No value may repeat."""

    def __init__(self, before: Sequence[Column], place: int, scratch: Scratch) -> None:
        super().__init__(before, before)
        self._place = place
        self._seen = _Seen(before, [place], scratch)

    def change(self, batch: Batch, ledger: Ledger) -> Batch:
        """The rows with new values; the others are rejected."""
        column, values = self.columns[self._place], batch.columns[self._place]
        new = self._seen.new(batch)
        faults = Faults()
        for row, is_new in enumerate(new):
            if not is_new and values[row] is not None:
                faults.add(row, column.name, "unique", f"{str(values[row])[:60]} was there before")
        return faults.split(batch, self.columns, ledger)


class _Seen:
    """The keys seen so far."""

    def __init__(self, before: Sequence[Column], places: Sequence[int], scratch: Scratch) -> None:
        self._before, self._places = tuple(before), tuple(places)
        self._seen = scratch.seen()

    def new(self, batch: Batch) -> list[bool]:
        """For each row, whether its key is new."""
        return self._seen.new(_keys(self._before, batch, self._places))


def _keys(columns: Sequence[Column], batch: Batch, places: Sequence[int]) -> list[Value]:
    """One key per row; equal if the values at these places are. 1.0 equals 1.00, and no value equals no value."""
    if [columns[at].kind for at in places] == ["int"]:
        values = batch.columns[places[0]]
        return values if None not in values else [_NONE if value is None else value for value in values]
    parts: list[list[str]] = []
    for at in places:
        kind: Kind = columns[at].kind
        values = batch.columns[at]
        if kind == "decimal":
            values = [None if value is None else EXACT.normalize(value) + 0 for value in values]  # type: ignore[arg-type]  # decimals
        elif kind == "float":
            values = [None if value is None else value + 0.0 for value in values]  # type: ignore[operator]  # -0.0 is 0.0
        parts.append([_NONE if value is None else str(value).replace(_MARK, _MARK * 2) for value in values])
    if len(parts) == 1:
        return parts[0]  # type: ignore[return-value]  # texts are values
    return [f"{_MARK}|".join(row) for row in zip(*parts, strict=True)]


_MARK: Final = "\x1f"
_NONE: Final = _MARK + "N"


class Joined:
    """join: adds columns of the second source's rows whose key is equal; several partners give several rows.

    partners: the second source's rows; theirs: places of the key in them; take: places of the columns to add.
    """

    def __init__(
        self, before: Sequence[Column], ours: Sequence[int], partners: Stage, theirs: Sequence[int],
        take: Sequence[tuple[int, str]], unmatched: Unmatched,
    ) -> None:  # fmt: skip
        self.before = tuple(before)
        self.columns = (*before, *(Column(name, partners.columns[at].kind) for at, name in take))
        self._ours, self._partners, self._unmatched = tuple(ours), partners, unmatched
        self._key_kinds = [before[at].kind for at in ours]
        self._kinds = [partners.columns[at].kind for at, _ in take]
        wanted = ", ".join(f"c{at}" for at, _ in take) or "1"
        where = " AND ".join(f"c{at} = ?" for at in theirs)
        self._query = f"SELECT {wanted} FROM {{t}} WHERE {where} ORDER BY n"
        self._texts = [place for place, kind in enumerate(self._kinds) if kind == "text"]
        self._known: dict[Row, tuple[list[Row], ...]] = {}
        self._kept = self._kept_text = 0
        partners.index(theirs)

    def feed(self, batch: Batch, ledger: Ledger) -> Iterable[Batch]:
        """Yields the rows with their partners, in batches of at most twice the usual size."""
        keys = zip(
            *(stored(k, batch.columns[at]) for k, at in zip(self._key_kinds, self._ours, strict=True)), strict=True
        )
        faults = Faults()
        rows: list[int] = []
        added: list[Row] = []
        text, most = 0, rows_of(len(self.columns))
        for row, key in enumerate(keys):
            is_alone = True
            for partners in self._partners_of(key):
                is_alone = False
                rows += [row] * len(partners)
                added += partners
                text += self._weigh(partners)
                if len(rows) >= most or text >= BATCH_TEXT:
                    yield self._join_rows(batch, rows, added)
                    rows, added, text = [], [], 0
            if is_alone and self._unmatched == "keep":
                rows.append(row)
                added.append((None,) * len(self._kinds))
            elif is_alone and self._unmatched == "reject":
                shown = ", ".join(str(value)[:60] for value in key)
                faults.add(row, self.before[self._ours[0]].name, "join", f"{shown} has no partner")
        faults.split(batch, self.before, ledger)
        if rows:
            yield self._join_rows(batch, rows, added)

    def finish(self, ledger: Ledger) -> Iterator[Batch]:
        """Yields nothing."""
        self._known.clear()
        return iter(())

    def _partners_of(self, key: Row) -> Iterable[Sequence[Row]]:
        """The partners of one key, in lists."""
        if key in self._known:
            return self._known[key]
        found = iter(()) if None in key else batched(self._partners.rows(self._query, key), self._weigh)
        known = tuple(islice(found, 1))
        count, text = (len(known[0]), self._weigh(known[0])) if known else (0, 0)
        if count >= rows_of(len(self._kinds)) or text >= BATCH_TEXT:
            return chain(known, found)
        if self._kept + 1 + count > PARTNERS_KEPT or self._kept_text + text > TEXT_KEPT:
            self._known.clear()
            self._kept = self._kept_text = 0
        self._kept, self._kept_text = self._kept + 1 + count, self._kept_text + text
        self._known[key] = known
        return known

    def _weigh(self, partners: Sequence[Row]) -> int:
        return characters(partners, self._texts)

    def _join_rows(self, batch: Batch, rows: list[int], added: list[Row]) -> Batch:
        columns = [[column[row] for row in rows] for column in batch.columns]
        if self._kinds:
            columns += [restored(k, values) for k, values in zip(self._kinds, zip(*added, strict=True), strict=True)]
        raws = None if batch.raws is None else [batch.raws[row] for row in rows]
        return Batch(columns, [batch.numbers[row] for row in rows], raws)


class Grouped:
    """aggregate: one row per group, sorted by its key. by: places; measures: (name, function, place or -1, kind)."""

    def __init__(
        self,
        before: Sequence[Column],
        by: Sequence[int],
        measures: Sequence[tuple[str, str, int, Kind]],
        scratch: Scratch,
    ) -> None:
        self.columns = (*(before[at] for at in by), *(Column(name, kind) for name, _, _, kind in measures))
        if (medians := [function for _, function, _, _ in measures].count("median")) > MEDIANS_MAX:
            raise JobFailed("step", f"aggregate: {medians} medians are too many; one step has at most {MEDIANS_MAX}.")
        used = sorted({*by, *(at for _, _, at, _ in measures if at >= 0)})
        self._used, self._by = used, [used.index(at) for at in by]
        self._stage = scratch.table([before[at] for at in used])
        self._measures = [
            (function, used.index(at) if at >= 0 else -1, before[at].kind if at >= 0 else "int")
            for _, function, at, _ in measures
        ]

    def feed(self, batch: Batch, ledger: Ledger) -> Iterable[Batch]:
        """Stores the rows."""
        self._stage.add(Batch([batch.columns[at] for at in self._used], batch.numbers))
        return ()

    def finish(self, ledger: Ledger) -> Iterator[Batch]:
        """Yields the groups."""
        kinds = [column.kind for column in self.columns]
        done = 0
        try:
            found = self._stage.rows(self._query())
            texts = [place for place, kind in enumerate(kinds) if kind == "text"]
            for rows in batched(found, lambda some: characters(some, texts)):
                numbers = range(done + 1, done + len(rows) + 1)
                columns = zip(*rows, strict=True)
                found_columns = [restored(kind, values) for kind, values in zip(kinds, columns, strict=True)]
                _must_be_finite(self.columns, found_columns)
                yield Batch(found_columns, numbers)
                done += len(rows)
        except apsw.SQLError as error:
            mend = ". For a sum beyond 64 bits cast the column to decimal." if "overflow" in str(error) else "."
            raise JobFailed("step", f"aggregate: {error}{mend}") from None
        self._stage.drop()

    def _query(self) -> str:
        keys = ", ".join(f"c{at}" for at in self._by)
        outer, inner, joins = [f"g.k{place}" for place in range(len(self._by))], [], []
        inner += [f"c{at} AS k{place}" for place, at in enumerate(self._by)]
        for place, (function, at, kind) in enumerate(self._measures):
            outer.append(f"g.m{place}")
            match function:
                case "first" | "last":
                    edge = "min" if function == "first" else "max"
                    inner.append(f"{edge}(CASE WHEN c{at} IS NOT NULL THEN n END) AS m{place}")
                    outer[-1] = f"(SELECT c{at} FROM {{t}} WHERE n = g.m{place})"
                case "median":
                    joins.append(self._median(place, at, kind))
                    outer[-1] = f"d{place}.v"
                    inner.append(f"count(c{at}) AS m{place}")
                case _:
                    inner.append(f"{_sql(function, at, kind)} AS m{place}")
        grouped = f"SELECT {', '.join(inner) or '1'} FROM {{t}}" + (f" GROUP BY {keys}" if keys else "")
        order = ", ".join(f"g.k{place}" for place in range(len(self._by))) or "1"
        return f"SELECT {', '.join(outer)} FROM ({grouped}) g {' '.join(joins)} ORDER BY {order}"

    def _median(self, place: int, at: int, kind: Kind) -> str:
        """SQL that joins the mean of the one or two middle values of each group."""
        keys = [f"c{by}" for by in self._by]
        part = f"PARTITION BY {', '.join(keys)}" if keys else ""
        named = "".join(f"{key} AS k{number}, " for number, key in enumerate(keys))
        mean = "exact_mean" if kind == "decimal" else "avg"
        same = " AND ".join(f"d{place}.k{number} IS g.k{number}" for number in range(len(keys))) or "1"
        group = f"GROUP BY {', '.join(keys)}" if keys else ""
        return (
            f"LEFT JOIN (SELECT {named}{mean}(c{at}) AS v FROM ("
            f"SELECT *, row_number() OVER ({part} ORDER BY c{at}) AS r, count(*) OVER ({part}) AS c "
            f"FROM {{t}} WHERE c{at} IS NOT NULL"
            f") WHERE r IN ((c + 1) / 2, (c + 2) / 2) {group}) d{place} ON {same}"
        )


def _must_be_finite(columns: Sequence[Column], values: Sequence[Sequence[Value]]) -> None:
    """Raises JobFailed for infinity, which SQLite's sums can reach and JSON cannot write."""
    for column, found in zip(columns, values, strict=True):
        if column.kind == "float" and not all(value is None or isfinite(value) for value in found):  # type: ignore[arg-type]  # floats
            raise JobFailed(
                "step",
                f'aggregate: a value of "{column.name}" is beyond what a float holds. Cast its column to decimal.',
            )


def _sql(function: str, at: int, kind: Kind) -> str:
    match function:
        case "count":
            return f"count(c{at})" if at >= 0 else "count(*)"
        case "count_distinct":
            return f"count(DISTINCT c{at})"
        case "sum":
            return f"{'exact_sum' if kind == 'decimal' else 'sum'}(c{at})"
        case "mean":
            return f"{'exact_mean' if kind == 'decimal' else 'avg'}(c{at})"
        case _:
            return f"{function}(c{at})"
