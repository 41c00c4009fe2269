"""Checks a spec file's text, or a run's inputs, and makes a Spec (pure): finds all problems at once.

The format is TOML 1.0, through tomllib. Raises SpecInvalid and nothing else.
"""

import codecs
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, cast

from pipeline_check_steps import check_schema, check_steps
from pipeline_errors import SpecInvalid
from pipeline_section import Problems, Section, check_key, check_table_name, choices_of
from pipeline_spec import REJECTS_DEFAULT, SUFFIXES, Format, Mode, RejectLimit, Save, Source, Spec, Target

ENCODINGS: Final = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "ascii", "latin-1", "iso-8859-2", "iso-8859-15", "cp1250", "cp1251",
    "cp1252", "cp437", "cp850", "mac-roman", "koi8-r", "shift_jis", "euc-jp", "euc-kr", "gb18030", "big5",
)  # fmt: skip
SPEC_MAX: Final = 256 * 1024
"""Most bytes of a spec file."""

_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)%")
_FLAT: Final = ("table", "mode", "key")


def check_text(raw: bytes, inputs: Mapping[str, object] | None = None, *, rejects: str = REJECTS_DEFAULT) -> Spec:
    """The Spec of a file's bytes. inputs (source=…, target=…, …) override the file."""
    problems = Problems()
    try:
        if len(raw) > SPEC_MAX:
            problems.add("spec", f"the file has {len(raw)} bytes", f"A spec has at most {SPEC_MAX}.")
            raise SpecInvalid(problems.found)
        table: dict[str, object] = tomllib.loads(raw.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        problems.add("spec", f"this is not TOML: {error}", "See docs/demo/weather.toml for one that is.")
        raise SpecInvalid(problems.found) from None
    return check_table({**table, **_nest(inputs or {}, table)}, rejects=rejects)


def check_inputs(inputs: Mapping[str, object], *, rejects: str = REJECTS_DEFAULT) -> Spec:
    """The Spec of inputs alone: tables as in a file, or the short form source=PATH target=PATH table=… mode=…."""
    return check_table(_nest(inputs, {}), rejects=rejects)


def _nest(inputs: Mapping[str, object], table: Mapping[str, object]) -> dict[str, object]:
    """Expands the short form: source=PATH to source.path; table, mode and key go to target; delimiter to source."""
    found = {name: value for name, value in inputs.items() if name not in (*_FLAT, "delimiter")}
    for part, names in (("source", ("delimiter",)), ("target", _FLAT)):
        given = found.get(part)
        flat: dict[str, object] = {name: inputs[name] for name in names if name in inputs}
        if isinstance(given, str):
            flat["path"] = given
        if isinstance(flat.get("key"), str):
            flat["key"] = [name.strip() for name in str(flat["key"]).split(",")]
        if flat:
            first = given if isinstance(given, dict) else table.get(part)
            found[part] = {**(first if isinstance(first, dict) else {}), **flat}
    return found


def check_table(table: object, *, rejects: str = REJECTS_DEFAULT) -> Spec:
    """The Spec of a parsed table. rejects: the default of reject_at_most."""
    problems = Problems()
    top = Section("", table, problems)
    name = top.text("name", "pipeline", most=100)
    source = check_source(Section("source", top.table.get("source", {}), problems))
    schema = check_schema(Section("schema", top.table.get("schema", {}), problems))
    target = _check_target(Section("target", top.table.get("target", {}), problems))
    steps = check_steps(top, problems, check_source)
    limit = _check_limit(top, rejects)
    top.close(also=("source", "schema", "target", "steps"))
    tables = [target.table.casefold()]
    for number, step in enumerate(steps, 1):
        if isinstance(step, Save):
            if target.format != "sqlite":
                problems.add(f"steps[{number}]", "save needs a SQLite target", "Write a target path that ends in .db.")
            if step.table.casefold() in tables:
                problems.add(f"steps[{number}].table", f'"{step.table}" is written twice', "Choose another name.")
            tables.append(step.table.casefold())
    if problems.found:
        raise SpecInvalid(problems.found)
    return Spec(name=name, source=source, schema=schema, steps=steps, target=target, reject_at_most=limit)


def check_source(section: Section) -> Source:
    """Checks [source], or the source of a join."""
    path = section.text("path", required='Write path = "data/rows.csv".')
    form = _format(section, path, ("csv", "json", "jsonl", "sqlite"))
    delimiter = section.text("delimiter", "\t" if path.endswith(".tsv") else ",", most=1)
    quote = section.text("quote", '"', most=1)
    encoding = section.text("encoding").lower()
    header = section.flag("header", default=True)
    columns = section.names("columns")
    nulls = section.texts("nulls")
    table = section.text("table")
    records = section.text("records")
    section.close()
    if encoding and encoding not in ENCODINGS:
        near = _canonical(encoding)
        mend = f'Write "{near}".' if near else f"Known: {', '.join(ENCODINGS)}."
        section.bad("encoding", f'"{encoding}" is not known', mend)
    elif encoding not in ("", "utf-8") and form in ("json", "jsonl"):
        section.bad("encoding", "JSON is always UTF-8", "Leave the key out.")
    if len(delimiter) != 1 or delimiter in "\r\n" or delimiter == quote:
        section.bad("delimiter", f"{delimiter!r} cannot separate fields", 'Write one character, such as ";" or "\\t".')
    if quote in ("\r", "\n"):
        section.bad("quote", "a line end cannot be a quote", 'Write one other character, or "" for none.')
    for key, value, needs in (
        ("delimiter", "delimiter" in section.table, "csv"), ("quote", "quote" in section.table, "csv"),
        ("header", not header, "csv"), ("columns", bool(columns), "csv"),
        ("table", bool(table), "sqlite"), ("records", bool(records), "json"),
    ):  # fmt: skip
        if value and form != needs:
            section.bad(key, f"a {form} source has no {key}", f"Leave the key out; it is for {needs}.")
    return Source(
        path=path, format=cast(Format, form), delimiter=delimiter, quote=quote, encoding=encoding, header=header,
        columns=columns, nulls=("",) if nulls is None else nulls, table=table, records=records,
    )  # fmt: skip


def _check_target(section: Section) -> Target:
    path = section.text("path", required='Write path = "data/result.db".')
    form = _format(section, path, ("csv", "jsonl", "sqlite"))
    table = section.text("table", most=200)
    mode = section.choice("mode", cast(tuple[Mode, ...], choices_of(Mode)), "create")
    key = section.names("key")
    delimiter = section.text("delimiter", "\t" if path.endswith(".tsv") else ",", most=1)
    make_folders = section.flag("make_folders", default=False)
    section.close()
    check_table_name(section, table, needed=form == "sqlite")
    check_key(section, mode, key)
    if mode == "upsert" and form != "sqlite":
        section.bad("mode", f"a {form} file has no keys to find rows by", 'Write a SQLite target, or mode = "replace".')
    if form != "sqlite" and table:
        section.bad("table", f"a {form} file has no tables", "Leave the key out.")
    if "delimiter" in section.table and (form != "csv" or len(delimiter) != 1 or delimiter in '\r\n"'):
        section.bad("delimiter", f"{delimiter!r} cannot separate fields here", "Write one character, and for csv only.")
    return Target(
        path=path, format=form, table=table, mode=mode, key=key, delimiter=delimiter, make_folders=make_folders  # type: ignore[arg-type]  # one of those that were offered
    )  # fmt: skip


def _format(section: Section, path: str, among: tuple[str, ...]) -> str:
    declared = section.text("format")
    if declared:
        return section.choice("format", among, among[0])
    suffix = "." + path.rpartition("/")[2].rpartition(".")[2].lower()
    found = SUFFIXES.get(suffix, "")
    if found in among:
        return found
    if path:
        what = f"a target cannot be {found}" if found else f'the suffix of "{path}" does not tell it'
        section.bad("format", what, f"Write format = {' or '.join(among)}.")
    return among[0]


def _check_limit(top: Section, default: str) -> RejectLimit:
    value = top.raw("reject_at_most")
    value = default if value is None else value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return RejectLimit(count=value)
    if isinstance(value, str):
        if match := _SHARE.fullmatch(value):
            if (percent := Decimal(match[1])) <= 100:
                return RejectLimit(percent=percent)
        elif value.isascii() and value.isdigit() and len(value) < 16:
            return RejectLimit(count=int(value))
    top.bad(
        "reject_at_most", f"{value!r} is not a limit", 'Write a count such as 10, or a share of the rows such as "1%".'
    )
    return RejectLimit(count=0)


def _canonical(encoding: str) -> str:
    """The name in ENCODINGS of an encoding given by another of Python's names, or ""."""
    try:
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError):
        return ""
    return next((known for known in ENCODINGS if codecs.lookup(known).name == name), "")
