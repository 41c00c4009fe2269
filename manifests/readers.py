"""Readers of HAND.toml's values, one per type in reference.py (pure).

A reader takes the raw value of one key and returns the value of the field in schema.py, or notes the problem and returns
BAD. Rules that need several keys are in rules.py.
"""

import re
from collections.abc import Callable
from keyword import iskeyword
from typing import Final

from manifests import amounts, capabilities, cron, quiet, schemas, zones
from manifests.confinement import layers
from manifests.errors import PatternInvalid, ResourceInvalid, ValueInvalid
from manifests.findings import Findings, spelled
from manifests.grants import is_method, is_method_pattern
from manifests.names import LONGEST_NAME, is_field, is_hand_name
from manifests.positions import Path
from manifests.reference import Key
from manifests.schema import Allowance, Window
from manifests.triggers import check_filter, check_inputs, check_moment
from manifests.typed import split_type, type_words
from manifests.values import parse_duration, parse_size
from manifests.versions import is_version
from wire.amounts import Cost

BAD: Final = object()
"""A reader's result for a refused value."""

LONGEST_TEXT: Final = 500
LONGEST_SUMMARY: Final = 1024  # of a method: as long as the description of a skill
LONGEST_COMMAND: Final = 64
LONGEST_SHOWN: Final = 80
RESERVED_FIELDS: Final = ("self", "call")
_ENTRY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PIPELINE: Final = re.compile(r"[a-z][a-z0-9-]*\.pipeline\.toml", re.ASCII)
_BESIDE: Final = r"(?!(?:.*/)?\.)[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*"
_PROGRAM: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", re.ASCII)
_OWN_PROGRAM: Final = re.compile(r"\.(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)+", re.ASCII)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

Reader = Callable[[Findings, Path, object, Key], object]


def example(key: Key) -> str:
    examples = {
        "name": '"my-hand"',
        "version": '"1.0.0"',
        **dict.fromkeys(("text", "summary"), '"..."'),
        "patterns": '["..."]',
        "model": '"default"',
    }
    return " or ".join(f'"{choice}"' for choice in key.choices) if key.choices else examples[key.type]


def _refused(found: Findings, path: Path, value: object, wanted: str, instead: str) -> object:
    if isinstance(value, str) and len(value) <= LONGEST_SHOWN:
        shown = f'"{value}"'
    elif isinstance(value, int | float) and not isinstance(value, bool) and len(repr(value)) <= LONGEST_SHOWN:
        shown = repr(value)
    else:
        shown = type_words(value)
    found.at_value(path, f"{spelled(path)} is {shown}, not {wanted}", instead)
    return BAD


def _bool(found: Findings, path: Path, value: object, key: Key) -> object:
    if isinstance(value, bool):
        return value
    return _refused(found, path, value, "true or false", "write true or false, without quotes")


def _count(found: Findings, path: Path, value: object, key: Key) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return _refused(found, path, value, "a count", "write a whole number without quotes")


def _text(most: int) -> Reader:
    def read(found: Findings, path: Path, value: object, key: Key) -> object:
        if not isinstance(value, str) or not value.strip():
            return _refused(found, path, value, "a sentence", 'write a text in quotes, such as "..."')
        if len(value) > most:
            return _refused(found, path, value, "short enough", f"write at most {most} characters")
        if odd := capabilities.spelling.oddity(value):
            found.at_value(path, f"{spelled(path)}: {odd}", "write one line of visible characters")
        return BAD if odd else value

    return read


def _name(found: Findings, path: Path, value: object, key: Key) -> object:
    if not isinstance(value, str) or not is_hand_name(value):
        return _refused(
            found, path, value, "a name", f'write small letters, digits and single "-", such as {_nearest_name(value)}'
        )
    return value


def _nearest_name(value: object) -> str:
    words = (
        re.findall(r"[a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1-\2", value).lower()) if isinstance(value, str) else []
    )
    name = "-".join(words).lstrip("0123456789-")[:LONGEST_NAME].rstrip("-")
    return f'"{name or "my-hand"}"'


def _version(found: Findings, path: Path, value: object, key: Key) -> object:
    if isinstance(value, str) and is_version(value):
        return value
    return _refused(found, path, value, "a version", 'write three numbers, such as "1.2.0"')


def _entry(found: Findings, path: Path, value: object, key: Key) -> object:
    if isinstance(value, str) and _ENTRY.fullmatch(value):
        return value
    return _refused(
        found, path, value, "module:Class", 'write the file without .py, a colon and the class, such as "main:MyHand"'
    )


def _command(found: Findings, path: Path, value: object, key: Key) -> object:
    if not isinstance(value, list) or not 0 < len(value) <= LONGEST_COMMAND:
        return _refused(
            found, path, value, "a program and its arguments", 'write a list of texts, such as ["node", "server.js"]'
        )
    good = True
    for index, item in enumerate(value):
        if not isinstance(item, str) or "\0" in item or len(item) > LONGEST_TEXT:
            _refused(found, (*path, index), item, "an argument", "write a text without NUL, of at most 500 characters")
            good = False
        elif index == 0 and not (_PROGRAM.fullmatch(item) or _OWN_PROGRAM.fullmatch(item)):
            wanted = "a program of the system's, or a file of the Hand's"
            _refused(found, (*path, index), item, wanted, 'write its name, such as "node", or its place, "./server"')
            good = False
    return tuple(value) if good else BAD


def _pipeline(found: Findings, path: Path, value: object, key: Key) -> object:
    if isinstance(value, str) and len(value) <= LONGEST_SHOWN and _PIPELINE.fullmatch(value):
        return value
    return _refused(
        found, path, value, "a pipeline in the Hand's folder", 'write its file there, such as "nightly.pipeline.toml"'
    )


def _file(ending: str, what: str, example: str) -> Reader:
    """Return a reader of paths of files in the Hand's folder. ending: a regular expression."""
    form = re.compile(_BESIDE + ending, re.ASCII)

    def read(found: Findings, path: Path, value: object, key: Key) -> object:
        if isinstance(value, str) and len(value) <= LONGEST_SHOWN and form.fullmatch(value):
            return value
        return _refused(found, path, value, f"{what} in the Hand's folder", f"write its path there, such as {example}")

    return read


def _model(text: str) -> str:
    try:
        return capabilities.model.normalise(text)
    except ResourceInvalid as error:
        raise ValueInvalid(str(error), 'write a route, such as "default", or PROVIDER/MODEL') from None


def _choice(found: Findings, path: Path, value: object, key: Key) -> object:
    if isinstance(value, str) and value in key.choices:
        return value
    return _refused(found, path, value, "one of its values", f"write {example(key)}")


def _measure(parse: Callable[[str], int], of: str, example: str) -> Reader:
    return _spelled(parse, of, f"write a number and a unit in quotes, such as {example}")


def _spelled(parse: Callable[[str], object], of: str, instead: str) -> Reader:
    """Return a reader of texts that `parse` accepts."""

    def read(found: Findings, path: Path, value: object, key: Key) -> object:
        if not isinstance(value, str):
            return _refused(found, path, value, f"a {of}", instead)
        try:
            return parse(value)
        except ValueInvalid as error:
            found.at_value(path, f"{spelled(path)}: {error.why}", error.instead)
            return BAD

    return read


def _list(fits: Callable[[str], bool], wanted: str, instead: str) -> Reader:
    def read(found: Findings, path: Path, value: object, key: Key) -> object:
        if not isinstance(value, list):
            return _refused(found, path, value, "a list", 'write a list of texts, such as ["..."]')
        seen: list[str] = []
        for index, item in enumerate(value):
            if not isinstance(item, str) or not fits(item):
                _refused(found, (*path, index), item, wanted, instead)
            elif item in seen:
                found.at_value((*path, index), f'"{item}" stands twice in {spelled(path)}', "leave one out")
            else:
                seen.append(item)
        return tuple(seen) if len(seen) == len(value) else BAD

    return read


def _is_folder(text: str) -> bool:
    """Whether a text is an absolute path, other than "/", in its shortest form."""
    return (
        text.startswith("/")
        and text != "/"
        and not {"", ".", ".."}.intersection(text[1:].split("/"))
        and "\0" not in text
    )


def _patterns(found: Findings, path: Path, value: object, key: Key) -> object:
    if not isinstance(value, list):
        return _refused(found, path, value, "a list of patterns", 'write a list, such as ["reports/**"]')
    good: list[str] = []
    for index, item in enumerate(value):
        if not isinstance(item, str):
            _refused(found, (*path, index), item, "a pattern", 'write a text, such as "reports/**"')
            continue
        try:
            capabilities.check_pattern(item)
            good.append(item)
        except PatternInvalid as error:
            found.at_value((*path, index), f"{spelled(path)}: {error.why}", error.instead)
    return tuple(good) if len(good) == len(value) else BAD


def _types(found: Findings, path: Path, value: object, key: Key) -> object:
    if not isinstance(value, dict):
        return _refused(found, path, value, "a table of names and types", 'write it like { timeout = "duration?" }')
    good: dict[str, str] = {}
    for name, of in value.items():
        if not is_field(name) or iskeyword(name) or name in RESERVED_FIELDS:
            found.at_key(
                (*path, name),
                f'"{name}" cannot be the name of a param',
                'write small letters, digits and "_", no word of Python',
            )
            continue
        try:
            split_type(of if isinstance(of, str) else "")
            good[name] = str(of)
        except ValueInvalid as error:
            _refused(found, (*path, name), of, "a type", error.instead)
    return good if len(good) == len(value) else BAD


def _allowances(read: Callable[[str], Allowance], example: str) -> Reader:
    """Return a reader of allowances: one amount for a window, or a list of them for different windows."""

    def reader(found: Findings, path: Path, value: object, key: Key) -> object:
        items = value if isinstance(value, list) else [value]
        if not items:
            return _refused(found, path, value, "an amount for a window", f"write it like {example}, or leave it out")
        good: dict[Window, Allowance] = {}
        for index, item in enumerate(items):
            at = (*path, index) if isinstance(value, list) else path
            if not isinstance(item, str):
                _refused(found, at, item, "an amount for a window", f"write it in quotes, such as {example}")
                continue
            try:
                one = read(item)
            except ValueInvalid as error:
                found.at_value(at, f"{spelled(at)}: {error.why}", error.instead)
                continue
            if one.window in good:
                found.at_value(at, f"{spelled(path)} has two amounts for one {one.window}", "leave one out")
            good.setdefault(one.window, one)
        return tuple(good.values()) if len(good) == len(items) else BAD

    return reader


def _cost(found: Findings, path: Path, value: object, key: Key) -> object:
    example = 'write it like { tokens = "10k", dollars = "0.05" }'
    if not isinstance(value, dict) or not value:
        return _refused(found, path, value, "a cost", example)
    good: dict[str, int] = {}
    for unit, text in value.items():
        at = (*path, unit)
        if unit not in ("tokens", "dollars"):
            found.at_key(at, f"{spelled(at)} is not a unit of a cost", example)
        elif not isinstance(text, str):
            _refused(found, at, text, "an amount", "write it in quotes")
        else:
            try:
                good[unit] = amounts.tokens_of(text) if unit == "tokens" else amounts.dollars_of(text)
            except ValueInvalid as error:
                found.at_value(at, f"{spelled(at)}: {error.why}", error.instead)
    if len(good) < len(value):
        return BAD
    return Cost(tokens=good.get("tokens", 0), micro_dollars=good.get("dollars", 0))


def _spans(found: Findings, path: Path, value: object, key: Key) -> object:
    if not isinstance(value, list):
        return _refused(found, path, value, "a list of spans of a day", 'write a list, such as ["22:00-07:00"]')
    read = _spelled(quiet.check, "span of a day", 'write it like "22:00-07:00"')
    good = [read(found, (*path, index), item, key) is not BAD for index, item in enumerate(value)]
    return tuple(value) if all(good) else BAD


def _event(found: Findings, path: Path, value: object, key: Key) -> object:
    if isinstance(value, str) and is_method(value):
        return value
    return _refused(found, path, value, "publisher.event", 'write one event, such as "data-pipeline.loaded"')


def _tree(check: Callable[[dict[str, object]], dict[str, str]], of: str, instead: str) -> Reader:
    """Return a reader of tables. check: returns what is wrong by row name, "" for the table, each noted at its row."""

    def read(found: Findings, path: Path, value: object, key: Key) -> object:
        if not isinstance(value, dict):
            return _refused(found, path, value, f"a table of {of}", instead)
        wrong = check(value)
        for name, why in wrong.items():
            found.at_key((*path, name) if name else path, f"{spelled((*path, name) if name else path)} {why}", instead)
        return BAD if wrong else value

    return read


def _choices(found: Findings, path: Path, value: object, key: Key) -> object:
    if not isinstance(value, list) or not value:
        return _refused(found, path, value, "a list of values", 'write a list, such as ["low", "high"]')
    if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in value):
        return _refused(
            found, path, value, "a list of texts or whole numbers", 'write it like ["low", "high"] or [1, 2]'
        )
    return tuple(value)


def _any(found: Findings, path: Path, value: object, key: Key) -> object:
    return value


READERS: Final[dict[str, Reader]] = {
    "bool": _bool,
    "choice": _choice,
    "choices": _choices,
    "command": _command,
    "cost": _cost,
    "count": _count,
    "JSON file": _file(r"\.json", "a file of JSON", '"answer.json"'),
    "Markdown file": _file(r"\.md", "a file of Markdown", '"PLAYBOOK.md"'),
    "dollar amount": _spelled(amounts.some_dollars, "sum of dollars", 'write dollars in quotes, such as "1.50"'),
    "dollars": _allowances(amounts.parse_dollars, '"2.00/day"'),
    "cron": _spelled(cron.check, "cron expression", 'write five fields in quotes, such as "0 9 * * mon-fri"'),
    "duration": _measure(parse_duration, "duration", '"60s"'),
    "entry": _entry,
    "event": _event,
    "event patterns": _list(
        is_method_pattern, "publisher.event", 'write it like "data-pipeline.loaded" or "data-pipeline.*"'
    ),
    "filter": _tree(check_filter, "paths and values", 'write it like { level = "high", rows = { above = 100 } }'),
    "folders": _list(
        _is_folder,
        "a folder of this machine",
        'write its whole path, without "..", and not "/" itself, such as "/proc"',
    ),
    "inputs": _tree(check_inputs, "inputs", 'write it like { path = "reports/daily.csv", day = "$time" }'),
    "layers": _list(layers.NAMES.__contains__, "a layer of confinement", f"choose from {', '.join(layers.NAMES)}"),
    "moment": _spelled(
        check_moment, "text with date and time", 'write date and time in quotes, such as "2026-12-01T09:00"'
    ),
    "model": _spelled(_model, "model", 'write a route, such as "default", or PROVIDER/MODEL'),
    "name": _name,
    "names": _list(is_hand_name, "a name", 'write small letters, digits and single "-", such as "my-name"'),
    "patterns": _patterns,
    "pipeline": _pipeline,
    "programs": _list(
        lambda text: _PROGRAM.fullmatch(text) is not None,
        "a program's name",
        'write it without its folder, such as "ffmpeg"',
    ),
    "schemas": _tree(schemas.find_faults, "JSON Schemas by param", schemas.INSTEAD),
    "size": _measure(parse_size, "size", '"256MiB"'),
    "spans": _spans,
    "summary": _text(LONGEST_SUMMARY),
    "text": _text(LONGEST_TEXT),
    "token count": _spelled(amounts.some_tokens, "number of tokens", 'write them in quotes, such as "200k"'),
    "tokens": _allowances(amounts.parse_tokens, '"200k/day"'),
    "types": _types,
    "value": _any,
    "variables": _list(
        lambda text: _VARIABLE.fullmatch(text) is not None, "a variable's name", 'write it like "SLACK_TOKEN"'
    ),
    "version": _version,
    "wasm": _file(r"\.wa(?:sm|t)", "a module", '"main.wasm" or "main.wat"'),
    "zone": _spelled(zones.check, "time zone", 'write an IANA name in quotes, such as "Europe/Berlin"'),
}
"""Readers by the type that reference.py names."""
