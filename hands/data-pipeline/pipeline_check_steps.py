"""Checks the schema and the steps of a spec (pure): one function per step, in the table STEPS."""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal, cast

from pipeline_errors import Problem, did_you_mean
from pipeline_expressions import ExpressionInvalid, parse
from pipeline_rows import KINDS, Kind
from pipeline_section import Problems, Section, check_key, check_table_name, choices_of
from pipeline_spec import (
    STEPS_MAX,
    Aggregate,
    Bound,
    Cast,
    ColumnRule,
    Deduplicate,
    Derive,
    Extra,
    Filter,
    Join,
    Measure,
    Mode,
    Rename,
    Save,
    Schema,
    Select,
    Sort,
    Source,
    Step,
    Unmatched,
)
from pipeline_values import form_fault

FUNCTIONS: Final = (
    "count", "sum", "mean", "min", "max", "median", "stddev", "first", "last", "count_distinct",
)  # fmt: skip
"""The functions of an aggregate."""

KEEPS: Final[tuple[Literal["first", "last"], ...]] = ("first", "last")
PATTERN_MAX: Final = 200
_MEASURE: Final = re.compile(r"\s*([a-z_]+)\s*\((.*)\)\s*", re.DOTALL)
_NAMED: Final = re.compile(r"\s*(\w+)\s*=(?!=)\s*(.+)", re.DOTALL)

CheckSource = Callable[[Section], Source]


# the schema ----------------------------------------------------------------------------------------------------------


def check_schema(section: Section) -> Schema:
    """[schema]: each column is the name of a type ("int") or a table of rules."""
    extra = section.choice("extra", cast(tuple[Extra, ...], choices_of(Extra)), "infer")
    rules = []
    columns = section.raw("columns")
    if columns is not None and not isinstance(columns, dict):
        section.bad("columns", "this is not a table", 'Write [schema.columns] and below it NAME = "int".')
    for name, rule in (columns if isinstance(columns, dict) else {}).items():
        section.is_name("columns", name)
        table = {"type": rule} if isinstance(rule, str) else rule
        rules.append(_check_rule(name, Section(section.key(f"columns.{name}"), table, section.problems)))
    section.close()
    return Schema(columns=tuple(rules), extra=extra)


def _check_rule(name: str, section: Section) -> ColumnRule:
    kind: Kind | None = section.choice("type", KINDS, "text") if "type" in section.table else None
    form = _form(section)
    if form and kind not in ("date", "datetime"):
        section.bad("format", "only a date or datetime has it", 'Write type = "date", or leave the key out.')
    pattern = section.text("pattern", most=PATTERN_MAX)
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        section.bad(
            "pattern", f"this is not a regular expression: {error}", "See the docs of Python's re for its rules."
        )
        pattern = ""
    rule = ColumnRule(
        name=name, kind=kind, form=form, pattern=pattern, required=section.flag("required", default=False),
        min=_bound(section, "min", kind), max=_bound(section, "max", kind), min_length=section.count("min_length"),
        max_length=section.count("max_length"), choices=_choices(section, kind),
        unique=section.flag("unique", default=False),
    )  # fmt: skip
    section.close(also=("type",))
    for key in ("pattern", "min_length", "max_length"):
        if key in section.table and kind != "text":
            section.bad(key, "only a text has it", 'Write type = "text", or leave the key out.')
    if rule.min is not None and rule.max is not None:
        if _is_local(rule.min) != _is_local(rule.max):
            section.bad("min", "of min and max only one has an offset", "Write both with one, or both without.")
        elif rule.min > rule.max:  # type: ignore[operator]  # one kind
            section.bad("min", f"{rule.min} is more than max, {rule.max}", "Exchange them.")
    return rule


def _form(section: Section) -> str:
    form = section.text("format", most=100)
    if form and (why := form_fault(form)):
        section.bad("format", f"no date can be of this form: {why}", 'Write it as strptime takes it: "%d.%m.%Y".')
    return form


def _is_local(bound: Bound) -> bool:
    return isinstance(bound, datetime) and bound.tzinfo is None


def _bound(section: Section, key: str, kind: Kind | None) -> Bound | None:
    value = section.raw(key)
    if value is None:
        return None
    if kind in ("date", "datetime"):
        if type(value).__name__ == kind:
            return cast(date, value)
        section.bad(key, f"{value!r} is not a {kind}", f"Write it without quotes: {key} = 2012-01-31.")
    elif kind in ("int", "float", "decimal"):
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value:  # not NaN
            return Decimal(repr(value)) if kind == "decimal" else value
        section.bad(key, f"{value!r} is not a number", f"Write {key} = 10.")
    else:
        section.bad(key, "only a number, date or datetime has it", "Declare the column's type, or leave the key out.")
    return None


def _choices(section: Section, kind: Kind | None) -> tuple[str | int | float | bool, ...]:
    value = section.raw("choices")
    if value is None:
        return ()
    fits: tuple[type, ...] = {"text": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}.get(kind or "", ())
    if not fits:
        section.bad("choices", "only a text, int, float or bool has them", "Declare the type, or leave the key out.")
    elif not isinstance(value, list) or not value or not all(isinstance(item, fits) for item in value):
        section.bad("choices", f"this is not a list of {kind} values", "Write choices = [… , …].")
    else:
        return tuple(value)
    return ()


# the steps -----------------------------------------------------------------------------------------------------------


def check_steps(top: Section, problems: Problems, check_source: CheckSource) -> tuple[Step, ...]:
    """Checks [[steps]]; `do` names the kind of each."""
    listed = top.table.get("steps", [])
    if not isinstance(listed, list):
        problems.add("steps", "this is not a list", 'Write [[steps]] before each step, and do = "…" below it.')
        return ()
    if len(listed) > STEPS_MAX:
        problems.add("steps", f"there are {len(listed)}", f"A job has at most {STEPS_MAX}.")
    found: list[Step] = []
    for number, table in enumerate(listed[:STEPS_MAX], 1):
        section = Section(f"steps[{number}]", table, problems)
        do = section.text("do", required=f"Write do = one of {', '.join(STEPS)}.")
        if do in STEPS:
            step = STEPS[do](section, check_source)
            section.close()
            found.append(step)
        elif do:
            section.bad("do", f'there is no step "{do}"', did_you_mean(do, STEPS))
    return tuple(found)


def _select(section: Section, _: CheckSource) -> Step:
    columns, drop = section.names("columns"), section.names("drop")
    if bool(columns) == bool(drop):
        section.bad("columns", "either columns or drop is needed", 'Write columns = ["…"] or drop = ["…"].')
    return Select(columns=columns, drop=drop)


def _rename(section: Section, _: CheckSource) -> Step:
    columns = section.pairs("columns", required='Write columns = { old = "new" }.')
    for new in columns.values():
        section.is_name("columns", new)
    return Rename(columns=columns)


def _cast(section: Section, _: CheckSource) -> Step:
    columns: dict[str, Kind] = {}
    for name, kind in section.pairs("columns", required='Write columns = { temperature = "float" }.').items():
        if kind in KINDS:
            columns[name] = kind
        else:
            section.bad(f"columns.{name}", f'there is no type "{kind}"', did_you_mean(kind, KINDS))
    form = _form(section)
    if form and not {"date", "datetime"} & set(columns.values()):
        section.bad("format", "only a date or datetime has it", "Leave the key out.")
    return Cast(columns=columns, form=form)


def _derive(section: Section, _: CheckSource) -> Step:
    column = section.text("column", required='Write column = "…": the name of the new column.', most=200)
    kind = section.choice("type", KINDS, "text") if "type" in section.table else None
    value = _expression(section, "value", 'Write value = "temp_max - temp_min".')
    section.close(also=("type",))
    if column:
        section.is_name("column", column)
    return Derive(column=column, value=value, kind=kind)


def _filter(section: Section, _: CheckSource) -> Step:
    return Filter(where=_expression(section, "where", 'Write where = "wind > 5".'))


def _join(section: Section, check_source: CheckSource) -> Step:
    source = check_source(Section(section.key("source"), section.raw("source") or {}, section.problems))
    schema = check_schema(Section(section.key("schema"), section.raw("schema") or {}, section.problems))
    on = section.raw("on")
    pairs: dict[str, str] = {}
    if isinstance(on, dict):
        pairs = section.pairs("on", required="")
    elif names := section.names("on", required='Write on = ["id"], or on = { customer = "id" }.'):
        pairs = dict(zip(names, names, strict=True))
    return Join(
        source=source, schema=schema, on=tuple(pairs.items()), take=section.names("take"),
        prefix=section.text("prefix", most=50),
        unmatched=section.choice("unmatched", cast(tuple[Unmatched, ...], choices_of(Unmatched)), "drop"),
    )  # fmt: skip


def _aggregate(section: Section, _: CheckSource) -> Step:
    by: list[tuple[str, str]] = []
    for item in section.texts("by") or ():
        if match := _NAMED.fullmatch(item):
            by.append((match[1], match[2]))
            _parsed(section, "by", match[2])
        elif section.is_name("by", item):
            by.append((item, ""))
    measures = []
    for name, text in section.pairs("columns", required='Write columns = { days = "count()" }.').items():
        match = _MEASURE.fullmatch(text)
        column = match[2].strip() if match else ""
        if match is None or match[1] not in FUNCTIONS:
            wrong = match[1] if match else text
            section.bad(
                f"columns.{name}", f'"{text}" is not a measure', f"{did_you_mean(wrong, FUNCTIONS)} Write sum(column)."
            )
        elif not column and match[1] != "count":
            section.bad(f"columns.{name}", f"{match[1]}() of what", f"Write {match[1]}(column).")
        elif section.is_name(f"columns.{name}", name):
            measures.append(Measure(name=name, function=match[1], column=column))
    names = [name for name, _ in by] + [measure.name for measure in measures]
    for name in sorted({name for name in names if names.count(name) > 1}):
        section.bad("columns", f'the result has two columns "{name}"', "Give one of them another name.")
    return Aggregate(by=tuple(by), measures=tuple(measures))


def _deduplicate(section: Section, _: CheckSource) -> Step:
    return Deduplicate(by=section.names("by"), keep=section.choice("keep", KEEPS, "first"))


def _sort(section: Section, _: CheckSource) -> Step:
    names = section.names("by", required='Write by = ["date"], or by = ["-date"] for the latest first.')
    return Sort(by=tuple((name.removeprefix("-"), name.startswith("-")) for name in names))


def _save(section: Section, _: CheckSource) -> Step:
    table = section.text("table", most=200)
    check_table_name(section, table, needed=True)
    mode, key = section.choice("mode", cast(tuple[Mode, ...], choices_of(Mode)), "create"), section.names("key")
    check_key(section, mode, key)
    return Save(table=table, mode=mode, key=key)


STEPS: Final[dict[str, Callable[[Section, CheckSource], Step]]] = {
    "select": _select, "rename": _rename, "cast": _cast, "derive": _derive, "filter": _filter, "join": _join,
    "aggregate": _aggregate, "deduplicate": _deduplicate, "sort": _sort, "save": _save,
}  # fmt: skip
"""The checker of each step, by its name in a spec."""


def _expression(section: Section, key: str, required: str) -> str:
    text = section.text(key, required=required)
    if text:
        _parsed(section, key, text)
    return text


def _parsed(section: Section, key: str, text: str) -> None:
    try:
        parse(text)
    except ExpressionInvalid as invalid:
        section.problems.found.append(Problem(section.key(key), invalid.what, invalid.instead))
