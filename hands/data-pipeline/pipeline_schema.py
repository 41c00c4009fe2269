"""Settles the columns of a source and their types, and turns its records into rows of them (pure).

Inference, from the first SAMPLE_ROWS rows: a column gets the first type that every sampled value fits, in this order: int,
float, bool (the words true and false only), date, datetime, text. Numbers that would not round-trip are codes, so text: a
leading zero or plus ("007", "+4915112345678"), a whole number beyond 64 bits. A column without any value is text. JSON
texts never become numbers. Every row is then checked against the result; one that does not fit is rejected. If all but a
few sampled values fit a narrower type, a note says so, with the first that does not.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from manifests.suggestions import suggestion
from pipeline_errors import PROBLEMS_TOLD, JobFailed, Problem, SpecInvalid, did_you_mean
from pipeline_rows import Batch, Column, Faults, Kind, Ledger, Records, Reject, Value
from pipeline_spec import Bound, ColumnRule, Schema
from pipeline_values import Converter, Misfit, scalar

COLUMNS_MAX: Final = 20_000
"""Most inferred columns; more mean objects whose keys are data."""

SAMPLE_ROWS: Final = 1_000
SAMPLE_TEXT: Final = 8 * 1024 * 1024
"""Rows that are sampled before the schema is settled, and characters of text, after which fewer rows are enough."""

NEARLY: Final = 0.9
"""The share of a sample that must fit a narrower type for a note."""

_CODE: Final = re.compile(r"\+|-?0[0-9]")
_WHOLE: Final = re.compile(r"-?[0-9]+", re.ASCII)


def _is_int(value: object) -> bool:
    return not _CODE.match(str(value).strip()) and not isinstance(scalar("int")(value), bool)


def _is_float(value: object) -> bool:
    """A whole number must fit int: as floats, two ids that differ in the last digits would be equal."""
    text = str(value).strip()
    if _WHOLE.fullmatch(text):
        return _is_int(value)
    return not _CODE.match(text) and isinstance(scalar("float")(value), float)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool) or str(value).strip().lower() in ("true", "false")


def _is_date(value: object) -> bool:
    return not isinstance(value, datetime) and isinstance(scalar("date")(value), date)


def _is_datetime(value: object) -> bool:
    return isinstance(scalar("datetime")(value), datetime)


_NARROW: Final[tuple[tuple[Kind, Callable[[object], bool]], ...]] = (
    ("int", _is_int), ("float", _is_float), ("bool", _is_bool), ("date", _is_date), ("datetime", _is_datetime),
)  # fmt: skip


def infer(values: Sequence[object], *, texts_may_be_numbers: bool) -> tuple[Kind, str]:
    """(the type of a column's sampled values, a note or ""). values: without nulls."""
    if not values:
        return "text", ""
    note = ""
    for kind, fits in _NARROW:
        misfits = [
            value for value in values
            if (isinstance(value, str) and kind in ("int", "float", "bool") and not texts_may_be_numbers)
            or (isinstance(value, float | Decimal) and kind == "int")
            or not _fits_safely(fits, value)
        ]  # fmt: skip
        if not misfits:
            return kind, ""
        if not note and len(misfits) <= (1 - NEARLY) * len(values):
            note = (
                f"{len(values) - len(misfits)} of {len(values)} sampled values are {kind}; it is text because of "
                f'"{_shown(misfits[0])}". Declare type = "{kind}" to have each row read as that, or rejected.'
            )
    return "text", note


def _fits_safely(fits: Callable[[object], bool], value: object) -> bool:
    try:
        return fits(value)
    except (Misfit, ValueError, TypeError, ArithmeticError, RecursionError):
        return False


def _shown(value: object) -> str:
    try:
        return str(value)[:60]
    except RecursionError:
        return "[[…]]"


class Settled:
    """The settled columns of a source: columns of the rows, how to fill them, and notes for a person.

    names: the source's columns if its rows are lists; () for rows that are dicts.
    """

    def __init__(
        self, rules: Sequence[ColumnRule], notes: Sequence[str], nulls: Sequence[str], names: Sequence[str], extra: str
    ) -> None:
        self.rules = tuple(rules)
        self.columns = tuple(Column(rule.name, rule.kind or "text") for rule in rules)
        self.notes = tuple(notes)
        places = {name: at for at, name in enumerate(names)}
        self._places = [places.get(rule.name, -1) for rule in rules] if names else None
        self._width = len(names)
        self._straight = self._places == list(range(len(names)))
        self._known = frozenset(rule.name for rule in rules) if extra != "ignore" and not names else None
        self._converters = [Converter(rule.name, rule.kind or "text", nulls=nulls, form=rule.form) for rule in rules]
        self._checks = [_checks(rule) for rule in rules]

    @property
    def unique(self) -> tuple[str, ...]:
        """The columns whose values must be unique; pipeline_staging.py enforces it."""
        return tuple(rule.name for rule in self.rules if rule.unique)

    def batch(self, records: Records, ledger: Ledger) -> Batch:
        """Converts records to rows of these columns. Records that do not fit go to the ledger."""
        raw = self._by_column(self._without_extra(records, ledger))
        faults = Faults()
        batch = Batch([], raw.records.numbers, raw.records.rows)
        for values, converter, checks in zip(raw.columns, self._converters, self._checks, strict=True):
            column = converter.column(values, faults)
            for check in checks:
                check(column, faults)
            batch.columns.append(column)
        return faults.split(batch, self.columns, ledger)

    def _without_extra(self, records: Records, ledger: Ledger) -> Records:
        known = self._known
        if known is None:
            return records
        strange = [
            row for row, record in enumerate(records.rows) if isinstance(record, dict) and not record.keys() <= known
        ]
        if not strange:
            return records
        for row in strange:
            record = records.rows[row]
            name = min(map(str, set(record) - known))
            why = f'there is no column "{name}"; {suggestion(name, known)}'
            ledger.reject(Reject(records.numbers[row], name, "extra", why, record))
        left = sorted(set(range(len(records.rows))) - set(strange))
        return Records([records.numbers[row] for row in left], [records.rows[row] for row in left])  # type: ignore[arg-type]

    def _by_column(self, records: Records) -> "_Raw":
        rows: Sequence[object] = records.rows
        if self._places is None:
            names = [rule.name for rule in self.rules]
            return _Raw([[row.get(name) for row in rows] for name in names], records)  # type: ignore[attr-defined]
        turned: list[Sequence[object]] = list(zip(*rows, strict=True)) if rows else [()] * self._width
        if self._straight:
            return _Raw(turned, records)
        return _Raw([turned[at] if at >= 0 else [None] * len(rows) for at in self._places], records)


class _Raw(NamedTuple):
    """Records by column, with their values as read."""

    columns: Sequence[Sequence[object]]
    records: Records


def settle(
    schema: Schema,
    names: Sequence[str],
    rows: Sequence[object],
    *,
    nulls: Sequence[str],
    textual: bool,
    at: str = "schema",
) -> Settled:
    """Settles the schema: as declared, and for the rest as inferred from the sample.

    names: the columns of the source, () when each row has its own (JSON). rows: the sample. textual: all values are
    texts (CSV). at: the schema's key in the spec. Raises SpecInvalid if a declared column is missing; JobFailed for
    no columns, or too many.
    """
    seen = tuple(names) or tuple(dict.fromkeys(str(name) for row in rows if isinstance(row, dict) for name in row))
    declared = {rule.name: rule for rule in schema.columns}
    there = {name: at for at, name in enumerate(seen)}
    if schema.extra == "infer" and len(seen) > COLUMNS_MAX:
        mend = 'Declare those that are needed, and write extra = "ignore".'
        raise JobFailed("source", f"the first rows have {len(seen)} columns; a job has at most {COLUMNS_MAX}. {mend}")
    missing = [name for name in declared if name not in there]
    strange = [name for name in seen if name not in declared]
    wrong = [name for name in missing if names or (rows and declared[name].required)]
    if problems := _misfits(wrong, strange if schema.extra == "reject" and names else (), strange or seen, at):
        raise SpecInvalid(problems)
    notes = [f"{name}: none of the first {len(rows)} rows has it." for name in missing if rows]
    wanted = [*seen, *missing] if schema.extra == "infer" else list(declared)
    rules = []
    for name in wanted:
        rule = declared.get(name, ColumnRule(name=name))
        if rule.kind is None:
            kind, note = infer(_values(rows, name, there[name] if names else -1, nulls), texts_may_be_numbers=textual)
            rule = _with_kind(rule, kind)
            notes += [f"{name}: {note}"] if note else []
        rules.append(rule)
    if not rules:
        raise JobFailed("source", "it has no columns: it is empty, or its schema names none.")
    return Settled(rules, notes, nulls, names, schema.extra)


def _misfits(missing: Sequence[str], strange: Sequence[str], there: Sequence[str], at: str) -> list[Problem]:
    """The problems of missing declared columns, and of columns that must be declared."""
    problems = [
        Problem(f"{at}.columns.{name}", "the source has no such column", _near(number, name, there))
        for number, name in enumerate(missing)
    ]
    for name in strange:
        what = f'the source has a column "{name}" that is not declared'
        problems.append(Problem(f"{at}.columns", what, 'Declare it, or write extra = "ignore".'))
    return problems


def _near(number: int, name: str, known: Sequence[str]) -> str:
    """A suggestion, for the first PROBLEMS_TOLD problems only: each takes time proportional to the known names."""
    return did_you_mean(name, known) if number < PROBLEMS_TOLD else ""


def _values(rows: Sequence[object], name: str, at: int, nulls: Sequence[str]) -> list[object]:
    found = [row[at] if at >= 0 else row.get(name) for row in rows]  # type: ignore[index,attr-defined]  # lists or dicts
    return [value for value in found if value is not None and not (isinstance(value, str) and value in nulls)]


def _with_kind(rule: ColumnRule, kind: Kind) -> ColumnRule:
    return ColumnRule(**{**{name: getattr(rule, name) for name in rule.__struct_fields__}, "kind": kind})


# the rules of one column ---------------------------------------------------------------------------------------------

Check = Callable[[list[Value], Faults], None]


def _checks(rule: ColumnRule) -> list[Check]:
    found: list[Check] = []
    if rule.required:
        found.append(_required(rule.name))
    if rule.min is not None or rule.max is not None:
        found.append(_within(rule.name, rule.min, rule.max))
    if rule.min_length is not None:
        shortest = rule.min_length
        found.append(_each(rule.name, "length", lambda v: len(str(v)) < shortest, f"is shorter than {shortest}"))
    if rule.max_length is not None:
        longest = rule.max_length
        found.append(_each(rule.name, "length", lambda v: len(str(v)) > longest, f"is longer than {longest}"))
    if rule.choices:
        among = frozenset(rule.choices)
        shown = ", ".join(map(str, rule.choices[:10])) + (", …" if len(rule.choices) > 10 else "")
        found.append(_each(rule.name, "choices", lambda v: v not in among, f"is not among {shown}"))
    if rule.pattern:
        matches = re.compile(rule.pattern).fullmatch
        found.append(_each(rule.name, "pattern", lambda v: not matches(str(v)), f"does not match {rule.pattern}"))
    return found


def _required(name: str) -> Check:
    def check(values: list[Value], faults: Faults) -> None:
        if None not in values:
            return
        for row, value in enumerate(values):
            if value is None and not any(column == name for column, _, _ in faults.found.get(row, ())):
                faults.add(row, name, "required", "it has no value")

    return check


def _within(name: str, least: Bound | None, most: Bound | None) -> Check:
    def check(values: list[Value], faults: Faults) -> None:
        for row, value in enumerate(values):
            if value is None:
                continue
            try:
                if least is not None and value < least:  # type: ignore[operator]  # one kind
                    faults.add(row, name, "min", f"{str(value)[:60]} is below {least}")
                if most is not None and value > most:  # type: ignore[operator]
                    faults.add(row, name, "max", f"{str(value)[:60]} is above {most}")
            except TypeError:
                bound = most if least is None else least
                faults.add(row, name, "type", f"{value} and {bound} cannot be compared: only one has an offset")

    return check


def _each(name: str, code: str, wrong: Callable[[Value], bool], why: str) -> Check:
    def check(values: list[Value], faults: Faults) -> None:
        for row, value in enumerate(values):
            if value is not None and wrong(value):
                faults.add(row, name, code, f"{str(value)[:60]} {why}")

    return check
