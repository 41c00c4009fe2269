"""Makes the chain of steps from a spec and the columns of its sources (pure).

Checks what pipeline_check.py could not know, again all problems at once: missing columns (did you mean), types that a step
cannot take, two columns of one name. After a step with a problem, planning goes on with the columns that it would have
given, as far as they are known; no further problem is reported about a column that a wrong step was to make.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, assert_never

from pipeline_chain import Chain, Link
from pipeline_errors import Problem, SpecInvalid, did_you_mean
from pipeline_expressions import ExpressionInvalid, Parsed, kind_of, parse
from pipeline_rows import Batch, Column, Kind, Ledger
from pipeline_scratch import Scratch, Stage
from pipeline_spec import Aggregate, Cast, Deduplicate, Derive, Filter, Join, Measure, Rename, Save, Select, Sort, Step
from pipeline_staging import FirstOnly, Grouped, Joined, LastOnly, Sorted, Unique
from pipeline_steps import OneByOne, Pick, Recast, Sieve, Stepping, Work

_NUMBERS: Final = ("int", "float", "decimal")
_ONLY_NUMBERS: Final = ("sum", "mean", "median", "stddev")


class Sink(Protocol):
    """A destination of rows."""

    def write(self, batch: Batch, ledger: Ledger) -> None:
        """Takes rows; reports refused ones to the ledger."""


class Saving(OneByOne):
    """save: also writes the rows into another table."""

    def __init__(self, before: Sequence[Column], sink: Sink) -> None:
        super().__init__(before, before)
        self._sink = sink

    def change(self, batch: Batch, ledger: Ledger) -> Batch:
        """Writes the rows and returns them."""
        self._sink.write(batch, ledger)
        return batch


OpenTable = Callable[[Save, Sequence[Column]], Sink]


def plan(
    steps: Sequence[Step], columns: Sequence[Column], *, unique: Iterable[str], scratch: Scratch,
    partners: Mapping[int, Stage], open_table: OpenTable, key: Iterable[str] = (),
) -> Chain:  # fmt: skip
    """Makes a job's chain. partners: step number → rows of its second source. key: the target's. Raises SpecInvalid."""
    planner = _Planner(columns, scratch, partners, open_table)
    for name in unique:
        planner.link("schema unique", Unique(columns, [column.name for column in columns].index(name), scratch))
    for number, step in enumerate(steps, 1):
        planner.step(number, step)
    known = [column.name for column in planner.columns]
    for name in key:
        if name not in known:
            what = f'the rows have no column "{name}" after the steps'
            planner.problems.append(Problem("target.key", what, did_you_mean(name, known)))
    if planner.problems:
        raise SpecInvalid(planner.problems)
    return Chain(planner.columns, planner.links)


class _Planner:
    def __init__(
        self, columns: Sequence[Column], scratch: Scratch, partners: Mapping[int, Stage], open_table: OpenTable
    ) -> None:
        self.columns = tuple(columns)
        self.links: list[Link] = []
        self.problems: list[Problem] = []
        self._scratch, self._partners, self._open_table = scratch, partners, open_table
        self._number = 0
        self._unsure: set[str] = set()

    def link(self, name: str, step: Stepping) -> None:
        self.links.append(Link(name, step))
        self.columns = step.columns

    def step(self, number: int, step: Step) -> None:
        self._number = number
        found = len(self.problems)
        made = self._make(step)
        if made is not None and len(self.problems) == found:
            self.link(f"{number} {type(step).__name__.lower()}", made)
            return
        if made is not None:
            self.columns = made.columns
        self._unsure |= _made_by(step)

    def _make(self, step: Step) -> Stepping | None:
        match step:
            case Select():
                return self._select(step)
            case Rename():
                return self._rename(step)
            case Cast():
                kinds = {at: kind for name, kind in step.columns.items() if (at := self._place("columns", name)) >= 0}
                return Recast(self.columns, kinds, step.form)
            case Derive():
                return self._derive(step.column, step.value, step.kind, "value")
            case Filter():
                parsed, kind = self._expression("where", step.where)
                if parsed and kind not in ("bool", None):
                    self._bad("where", f"the expression gives {kind}, not true or false", 'Write where = "x > 0".')
                return Sieve(self.columns, parsed) if parsed else None
            case Join():
                return self._join(step)
            case Aggregate():
                return self._aggregate(step)
            case Deduplicate():
                places = self._places("by", step.by) if step.by else list(range(len(self.columns)))
                return (FirstOnly if step.keep == "first" else LastOnly)(self.columns, places, self._scratch)
            case Sort():
                by = [(at, down) for name, down in step.by if (at := self._place("by", name)) >= 0]
                return Sorted(self.columns, by, self._scratch)
            case Save():
                self._places("key", step.key)
                return None if self.problems else Saving(self.columns, self._open_table(step, self.columns))
            case _:
                assert_never(step)

    # the steps with more to check -----------------------------------------------------------------------------------

    def _select(self, step: Select) -> Stepping | None:
        if step.columns:
            places = self._places("columns", step.columns)
        else:
            dropped = self._places("drop", step.drop)
            places = [at for at in range(len(self.columns)) if at not in dropped]
            if not places:
                self._bad("drop", "no column is left", "Keep at least one.")
        if not places or len(places) < len(step.columns):
            return None
        return Pick(self.columns, places, [self.columns[at].name for at in places])

    def _rename(self, step: Rename) -> Stepping:
        self._places("columns", step.columns)
        names = [step.columns.get(column.name, column.name) for column in self.columns]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._bad("columns", f'two columns would be called "{name}"', "Choose another name.")
        return Pick(self.columns, range(len(self.columns)), names)

    def _derive(self, name: str, value: str, kind: Kind | None, key: str) -> Work | None:
        parsed, found = self._expression(key, value)
        if parsed is None:
            return None
        names = [column.name for column in self.columns]
        place = names.index(name) if name in names else len(names)
        return Work(self.columns, place, Column(name, kind or found or "text"), parsed)

    def _aggregate(self, step: Aggregate) -> Stepping | None:
        before = self.columns
        for name, expression in step.by:
            if not expression:
                continue
            if any(column.name == name for column in before):
                self._bad("by", f'there is a column "{name}" already', "Choose another name for the key.")
            elif work := self._derive(name, expression, None, "by"):
                self.link(f"{self._number} aggregate: {name}", work)
            else:
                self._unsure.add(name)
        by = self._places("by", [name for name, _ in step.by])
        measures = [self._measure(measure) for measure in step.measures]
        found = [measure for measure in measures if measure is not None]
        return Grouped(self.columns, by, found, self._scratch) if len(by) == len(step.by) else None

    def _measure(self, measure: Measure) -> tuple[str, str, int, Kind] | None:
        key = f"columns.{measure.name}"
        if not measure.column:
            return measure.name, "count", -1, "int"
        at = self._place(key, measure.column)
        if at < 0:
            return None
        kind = self.columns[at].kind
        if measure.function in _ONLY_NUMBERS and kind not in _NUMBERS:
            self._bad(
                key, f'{measure.function} needs numbers, and "{measure.column}" is {kind}', "Add a cast step before."
            )
        match measure.function:
            case "count" | "count_distinct":
                kind = "int"
            case "mean" | "median":
                kind = "decimal" if kind == "decimal" else "float"
            case "stddev":
                kind = "float"
        return measure.name, measure.function, at, kind

    def _join(self, step: Join) -> Stepping | None:
        partners = self._partners[self._number]
        theirs_named = {column.name: at for at, column in enumerate(partners.columns)}
        pairs = self._pairs(step, partners.columns, theirs_named)
        take = [(theirs_named[name], step.prefix + name) for name in self._taken(step, theirs_named)]
        known = {column.name for column in self.columns}
        for _, name in take:
            if name in known:
                self._bad("prefix", f'there are two columns "{name}"', 'Write prefix = "…", or name what to take.')
        if not pairs:
            return None
        ours, theirs = zip(*pairs, strict=True)
        return Joined(self.columns, ours, partners, theirs, take, step.unmatched)

    def _pairs(self, step: Join, columns: Sequence[Column], theirs: Mapping[str, int]) -> list[tuple[int, int]]:
        """Pairs of places of the columns that must be equal: (ours, the second source's)."""
        pairs: list[tuple[int, int]] = []
        for here, there in step.on:
            at = self._place("on", here)
            if there not in theirs:
                self._no_column("on", there, theirs)
            elif at >= 0:
                pairs.append((at, theirs[there]))
                one, other = self.columns[at].kind, columns[theirs[there]].kind
                if one != other and {one, other} != {"int", "float"}:
                    self._bad("on", f'"{here}" is {one} and "{there}" is {other}', "Cast one, or declare its type.")
        return pairs

    def _taken(self, step: Join, theirs: Mapping[str, int]) -> list[str]:
        """The columns of the second source to add: the named ones; if none is named, all but its keys."""
        if not step.take:
            keys = {there for _, there in step.on}
            return [name for name in theirs if name not in keys]
        for name in step.take:
            if name not in theirs:
                self._no_column("take", name, theirs)
        return [name for name in step.take if name in theirs]

    def _no_column(self, key: str, name: str, theirs: Iterable[str]) -> None:
        self._bad(key, f'the second source has no column "{name}"', did_you_mean(name, theirs))

    # columns -------------------------------------------------------------------------------------------------------

    def _place(self, key: str, name: str) -> int:
        for at, column in enumerate(self.columns):
            if column.name == name:
                return at
        if name not in self._unsure:
            self._bad(key, f'there is no column "{name}" here', did_you_mean(name, [c.name for c in self.columns]))
        return -1

    def _places(self, key: str, names: Iterable[str]) -> list[int]:
        return [at for name in names if (at := self._place(key, name)) >= 0]

    def _expression(self, key: str, text: str) -> tuple[Parsed | None, Kind | None]:
        try:
            parsed = parse(text)
            known = {column.name for column in self.columns}
            if any(name in self._unsure and name not in known for name in parsed.names):
                return None, None
            return parsed, kind_of(parsed, {column.name: column.kind for column in self.columns})
        except ExpressionInvalid as invalid:
            self._bad(key, invalid.what, invalid.instead)
            return None, None

    def _bad(self, key: str, what: str, instead: str) -> None:
        self.problems.append(Problem(f"steps[{self._number}].{key}", what, instead))


def _made_by(step: Step) -> set[str]:
    """The names of the columns that a step makes."""
    match step:
        case Rename():
            return set(step.columns.values())
        case Derive():
            return {step.column}
        case Join():
            return {step.prefix + name for name in step.take}
        case Aggregate():
            return {name for name, _ in step.by} | {measure.name for measure in step.measures}
        case _:
            return set()
