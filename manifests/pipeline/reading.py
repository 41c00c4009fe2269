"""Reads the tables of a pipeline file into steps, and notes each problem at its place (pure).

Each table is read by itself; binding.py checks the relations between steps. What cannot be read is left out, so that one
mistake is reported once.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from manifests.errors import ValueInvalid
from manifests.findings import Findings, spelled
from manifests.names import RESERVED, is_field
from manifests.pipeline.keys import (
    AT_ONCE_MOST,
    BACKOFF_MOST_MS,
    SECTIONS,
    SHORTEST_MS,
    STEPS_MOST,
    TIMES_MOST,
    WALL_MOST_MS,
    keys_of,
)
from manifests.pipeline.notes import UNSAID
from manifests.pipeline.schema import SKIP, STOP, Retry, Step, Work
from manifests.positions import Path
from manifests.readers import BAD, READERS
from manifests.reference import REQUIRED, Key
from manifests.suggestions import suggestion
from manifests.typed import convert, type_words

Table = Mapping[str, object]

REASON_MOST: Final = 300

_CODE: Final = re.compile(r"(?a)[a-z][a-z0-9 _.-]{0,63}")
_EXAMPLES: Final = {"name": '"my-pipeline"', "version": '"1.0.0"', "text": '"..."', "count": "3"}


class Row(Struct, frozen=True):
    """A step, and the keys that its table has."""

    step: Step
    keys: frozenset[str]


def read_table(found: Findings, section: str, path: Path, raw: object) -> dict[str, object]:
    """Return the valid values of one table, by key; the rest is noted."""
    if not isinstance(raw, dict):
        found.at_value(
            path, f"{spelled(path)} is {type_words(raw)}, not a table", f"write [{spelled(path)}] as a table"
        )
        return {}
    keys, values = keys_of(section), dict[str, object]()
    for name, value in raw.items():
        if name not in keys:
            note_unknown(found, section, (*path, name), keys)
            continue
        read = _read(found, (*path, name), value, keys[name])
        if read is not BAD:
            values[name] = read
    for name, key in keys.items():
        if key.default == REQUIRED and name not in raw:
            found.at_key(path, f"{spelled((*path, name))} is missing", f"write {name} = {_EXAMPLES[key.type]}")
    return values


def note_unknown(found: Findings, section: str, path: Path, names: Iterable[str]) -> None:
    """Note an unknown key or section. names: the known ones."""
    what = "key" if section else "section"
    found.at_key(path, f"{spelled(path)} is not a {what} of a pipeline", suggestion(str(path[-1]), names))


def _read(found: Findings, path: Path, value: object, key: Key) -> object:
    own = _OWN.get(key.type)
    if own is not None:
        return own(found, path, value)
    read = READERS[key.type](found, path, value, key)
    if key.type == "count" and isinstance(read, int):
        most = TIMES_MOST if key.path == "retry.times" else AT_ONCE_MOST
        return _within(found, path, read, 1, most, f"write 1 to {most}")
    if key.path == "retry.backoff" and isinstance(read, int):
        return _within(found, path, read, 0, BACKOFF_MOST_MS, 'write at most "7d"')
    if key.type == "duration" and isinstance(read, int):
        return _within(found, path, read, SHORTEST_MS, WALL_MOST_MS, 'write "100ms" to "365d"')
    return read


def _within(found: Findings, path: Path, value: int, least: int, most: int, instead: str) -> object:
    if least <= value <= most:
        return value
    found.at_value(path, f"{spelled(path)} is too {'small' if value < least else 'large'}", instead)
    return BAD


def _given(found: Findings, path: Path, value: object) -> object:
    """Read a table of values that can be sent in a body."""
    if not isinstance(value, dict):
        found.at_value(
            path, f"{spelled(path)} is {type_words(value)}, not a table", 'write it like { day = "${inputs.day}" }'
        )
        return BAD
    return {name: inner for name, inner in value.items() if can_be_sent(found, (*path, name), inner)}


def can_be_sent(found: Findings, path: Path, value: object, of_type: str = "any") -> bool:
    """Whether a value can be sent in a body as this type; notes why not."""
    try:
        convert(of_type, value)
    except ValueInvalid as error:
        found.at_value(path, f"{spelled(path)}: {error.why}", error.instead)
        return False
    return True


def _condition(found: Findings, path: Path, value: object) -> object:
    if isinstance(value, str):
        return value
    found.at_value(
        path, f"{spelled(path)} is {type_words(value)}, not an expression", 'write it like "${inputs.day != null}"'
    )
    return BAD


def _items(found: Findings, path: Path, value: object) -> object:
    for at, one in enumerate(value) if isinstance(value, list) else ():
        can_be_sent(found, (*path, at), one)
    if isinstance(value, str | list):
        return value
    found.at_value(path, f"{spelled(path)} is {type_words(value)}, not a list", 'write a list, or "${inputs.names}"')
    return BAD


def _failure(found: Findings, path: Path, value: object) -> object:
    if isinstance(value, str) and is_field(value):
        return value
    found.at_value(path, f"{spelled(path)} says neither what to do nor which step", 'write "stop", "skip" or a step')
    return BAD


def _fields(found: Findings, path: Path, value: object) -> object:
    if isinstance(value, list) and all(isinstance(item, str) and is_field(item) for item in value):
        return tuple(dict.fromkeys(value))
    found.at_value(path, f"{spelled(path)} is not a list of steps", 'write their names, such as ["load", "check"]')
    return BAD


def _codes(found: Findings, path: Path, value: object) -> object:
    if isinstance(value, list) and value and all(isinstance(item, str) and _CODE.fullmatch(item) for item in value):
        return tuple(value)
    found.at_value(
        path, f"{spelled(path)} is not a list of codes", 'write codes of failures, such as ["ended", "busy"]'
    )
    return BAD


def _reason(found: Findings, path: Path, value: object) -> object:
    if value is True:
        return UNSAID
    if isinstance(value, str) and 0 < len(value) <= REASON_MOST:
        return value
    found.at_value(
        path,
        f"{spelled(path)} is neither true nor a text of 1 to {REASON_MOST} characters",
        "write true, or why you are asked; leave it out if you are not",
    )
    return BAD


def _retry(found: Findings, path: Path, value: object) -> object:
    read = read_table(found, "retry", path, value)
    times, backoff, on = read.get("times"), read.get("backoff", 1_000), read.get("on", ())
    if not isinstance(times, int) or not isinstance(backoff, int) or not isinstance(on, tuple):
        return BAD
    return Retry(times=times, backoff_ms=backoff, on=on)


def _undo(found: Findings, path: Path, value: object) -> object:
    read = read_table(found, "undo", path, value)
    return read_work(found, path, read, value) or BAD


_OWN: Final[dict[str, Callable[[Findings, Path, object], object]]] = {
    "codes": _codes,
    "condition": _condition,
    "failure": _failure,
    "fields": _fields,
    "given": _given,
    "items": _items,
    "reason": _reason,
    "retry": _retry,
    "undo": _undo,
}


def read_work(found: Findings, path: Path, read: Table, raw: object) -> Work | None:
    """Read the run of a table; None, noted, unless it names exactly one of `hand` and `pipeline`."""
    named = [key for key in ("hand", "pipeline") if isinstance(raw, dict) and key in raw]
    if len(named) != 1:
        what = "names both a hand and a pipeline" if named else "does not say what runs"
        found.at_key(path, f"{spelled(path)} {what}", 'write hand = "...", or pipeline = "..."')
    hand = read.get(named[0]) if len(named) == 1 else None
    given, retry, timeout = read.get("with", {}), read.get("retry"), read.get("timeout", 0)
    approval = read.get("approval", "")
    if not isinstance(hand, str) or not isinstance(given, dict) or not isinstance(timeout, int):
        return None
    return Work(
        hand=hand,
        is_pipeline=named == ["pipeline"],
        given=given,
        retry=retry if isinstance(retry, Retry) else None,
        timeout_ms=timeout,
        approval=approval if isinstance(approval, str) else "",
    )


def read_steps(found: Findings, section: str, raw: object) -> dict[str, Row]:
    """Read the steps of [steps] or [finally]. Those that cannot be read are noted and left out."""
    if not isinstance(raw, dict):
        found.at_value((section,), f"{section} is {type_words(raw)}, not a table", f"write [{section}.name]")
        return {}
    if len(raw) > STEPS_MOST:
        found.at_key(
            (section,), f"there are {len(raw)} steps", f"write at most {STEPS_MOST}; a pipeline may run others"
        )
    rows: dict[str, Row] = {}
    for name, inner in raw.items():
        path: Path = (section, name)
        if name in (STOP, SKIP):
            found.at_key(path, f'"{name}" is a word of on_failure, and no name of a step', "choose another name")
            continue
        if not is_field(name):
            found.at_key(path, f'"{name}" cannot be the name of a step', 'write small letters, digits and "_"')
            continue
        read = read_table(found, f"{section}.*", path, inner)
        if not isinstance(inner, dict):
            continue
        if "parallel" in inner and "for_each" not in inner:
            found.at_key((*path, "parallel"), f"{spelled(path)} has parallel and no for_each", "leave it out")
        done = read_work(found, path, read, inner)
        if done is not None:
            rows[name] = Row(_step(name, done, read), frozenset(inner))
    return rows


def _step(name: str, done: Work, read: Table) -> Step:
    needs, when, undo = read.get("needs", ()), read.get("when", ""), read.get("undo")
    parallel, failure = read.get("parallel", 1), read.get("on_failure", STOP)
    return Step(
        name=name,
        work=done,
        needs=needs if isinstance(needs, tuple) else (),
        when=when if isinstance(when, str) else "",
        for_each=read.get("for_each"),
        parallel=parallel if isinstance(parallel, int) else 1,
        on_failure=failure if isinstance(failure, str) else STOP,
        undo=undo if isinstance(undo, Work) else None,
    )


def read_head(found: Findings, raw: Mapping[str, object], file: str) -> dict[str, object]:
    """Read [pipeline], and note unknown sections."""
    sections = [section.partition(".")[0] for section in SECTIONS if section not in ("undo", "retry")]
    for unknown in [one for one in raw if one not in sections]:
        note_unknown(found, "", (unknown,), sections)
    if "pipeline" not in raw:
        found.at_key(
            (), "the section [pipeline] is missing", "begin with [pipeline], and name, version and description"
        )
        return {}
    read = read_table(found, "pipeline", ("pipeline",), raw["pipeline"])
    name, path = read.get("name"), ("pipeline", "name")
    if name in RESERVED:
        found.at_value(path, f'"{name}" is a word of Maniple itself', "choose another name")
    shown = file.replace("\\", "/").rpartition("/")[2]
    if isinstance(name, str) and shown.endswith(".pipeline.toml") and shown != f"{name}.pipeline.toml":
        found.at_value(path, f'"{name}" is not what the file is called', f"call the file {name}.pipeline.toml")
    return read
