"""The steps that need one row at a time (pure): select, rename, cast, derive, filter.

`Stepping` is the interface of all steps, also of those in pipeline_staging.py that must see all rows first: `feed` gives
the rows that are ready, `finish` those that were held back.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from pipeline_expressions import Evaluator, Parsed
from pipeline_rows import Batch, Column, Faults, Kind, Ledger, Value
from pipeline_values import Converter, settled


class Stepping(Protocol):
    """One step of a job. columns: of the rows that it returns."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the rows that it returns."""

    def feed(self, batch: Batch, ledger: Ledger) -> Iterable[Batch]:
        """Takes rows; returns those that are done."""

    def finish(self, ledger: Ledger) -> Iterator[Batch]:
        """Ends the input; yields the rows held back."""


class OneByOne(ABC):
    """The base class of steps that hold nothing back."""

    def __init__(self, before: Sequence[Column], columns: Sequence[Column]) -> None:
        self.before = tuple(before)
        self.columns = tuple(columns)

    def feed(self, batch: Batch, ledger: Ledger) -> Iterable[Batch]:
        """The changed batch."""
        return (self.change(batch, ledger),)

    def finish(self, ledger: Ledger) -> Iterator[Batch]:
        """Yields nothing."""
        return iter(())

    @abstractmethod
    def change(self, batch: Batch, ledger: Ledger) -> Batch:
        """The step's result for some rows."""


class Pick(OneByOne):
    """select: the columns at these places, in this order. Also rename: the same places under other names."""

    def __init__(self, before: Sequence[Column], places: Sequence[int], names: Sequence[str]) -> None:
        super().__init__(before, [Column(name, before[at].kind) for at, name in zip(places, names, strict=True)])
        self._places = tuple(places)

    def change(self, batch: Batch, ledger: Ledger) -> Batch:
        """The chosen columns."""
        return Batch([batch.columns[at] for at in self._places], batch.numbers, batch.raws)


class Recast(OneByOne):
    """cast: converts the columns at these places to another type; rejects a row with a value that does not convert."""

    def __init__(self, before: Sequence[Column], kinds: dict[int, Kind], form: str) -> None:
        columns = [Column(column.name, kinds.get(at, column.kind)) for at, column in enumerate(before)]
        super().__init__(before, columns)
        dated = ("date", "datetime")
        self._converters = {
            at: Converter(
                before[at].name, kind, nulls=("",) if kind != "text" else (), form=form if kind in dated else ""
            )
            for at, kind in kinds.items()
        }

    def change(self, batch: Batch, ledger: Ledger) -> Batch:
        """The columns with their new type."""
        faults = Faults()
        columns = list(batch.columns)
        for at, converter in self._converters.items():
            columns[at] = converter.column(columns[at], faults)
        left = faults.split(Batch(batch.columns, batch.numbers, batch.raws), self.before, ledger)
        if left.size == batch.size:
            return Batch(columns, batch.numbers, batch.raws)
        return Batch(columns, batch.numbers, batch.raws).without(faults.found)


class Work(OneByOne):
    """derive: a column from an expression. place: of the column, or the number of columns for a new one."""

    def __init__(self, before: Sequence[Column], place: int, column: Column, parsed: Parsed) -> None:
        columns = list(before)
        columns[place : place + 1] = [column]
        super().__init__(before, columns)
        self._place = place
        self._column = column
        self._evaluator = Evaluator(parsed)
        self._converter = Converter(column.name, column.kind)

    def change(self, batch: Batch, ledger: Ledger) -> Batch:
        """The rows with the derived column."""
        faults = Faults()
        values = _evaluate(self._evaluator, self.before, batch, faults, self._column.name)
        if self._column.kind == "decimal":
            values = [settled(value) for value in values]
        columns = list(batch.columns)
        columns[self._place : self._place + 1] = [self._converter.column(values, faults)]
        whole = Batch(columns, batch.numbers, batch.raws)
        if not faults.found:
            return whole
        faults.split(batch, self.before, ledger)
        return whole.without(faults.found)


class Sieve(OneByOne):
    """filter: keeps the rows for which the expression is true; rejects a row for which it fails."""

    def __init__(self, before: Sequence[Column], parsed: Parsed) -> None:
        super().__init__(before, before)
        self._evaluator = Evaluator(parsed)

    def change(self, batch: Batch, ledger: Ledger) -> Batch:
        """The rows that pass."""
        faults = Faults()
        chosen = _evaluate(self._evaluator, self.before, batch, faults, "")
        faults.split(batch, self.before, ledger)
        return batch if all(chosen) else batch.keep(chosen)


def _evaluate(evaluator: Evaluator, before: Sequence[Column], batch: Batch, faults: Faults, name: str) -> list[Value]:
    named = {column.name: values for column, values in zip(before, batch.columns, strict=True)}
    return evaluator.column(named, batch.size, lambda row, why: faults.add(row, name, "expression", why))
