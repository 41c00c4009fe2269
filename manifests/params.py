"""Checks and converts a call's arguments by the params that its method declares (pure).

Separate because the runtime checks them before it calls a Hand's coroutine, and the command line before it sends them.
All problems are reported at once, each with what to give instead. An optional param that is missing or None is absent
from the result, so that the coroutine's own default applies.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Final

from msgspec import Raw

from manifests.errors import ParamsInvalid, ValueInvalid
from manifests.suggestions import suggestion
from manifests.typed import convert, from_text, split_type
from wire.codec import NIL

TOLD_OF: Final = 5
NAME_MOST: Final = 64
"""The most unknown names reported one by one, and the most characters shown of each."""

EMPTY: Final = b"\x80"
"""An empty table in msgpack."""


def check(declared: Mapping[str, str], given: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments as the Hand gets them (see typed.py). Raises ParamsInvalid with every problem."""
    problems = _unknown([name for name in given if name not in declared], declared)
    converted: dict[str, object] = {}
    for name, of in declared.items():
        value = given.get(name)
        if value is None and of.endswith("?"):
            continue
        of_type, _ = split_type(of)
        if value is None and (of_type != "any" or name not in given):
            problems.append(f"`{name}` is missing; give {name}=... ({of_type})")
            continue
        try:
            converted[name] = convert(of_type, value)
        except ValueInvalid as error:
            problems.append(f"`{name}`: {error.why}; {error.instead}")
    if problems:
        raise ParamsInvalid(tuple(problems))
    return converted


def pass_through(declared: Mapping[str, str], given: Mapping[str, Raw]) -> dict[str, Raw]:
    """Return tables that the provider passes on unread, as raw bytes. Raises ParamsInvalid for a value that is not a table.

    Empty tables and None are absent from the result.
    """
    if problems := [f"`{name}` is not a table; {declared[name]}" for name, raw in given.items() if not _is_table(raw)]:
        raise ParamsInvalid(tuple(problems))
    return {name: raw for name, raw in given.items() if bytes(raw) not in (NIL, EMPTY)}


def parse(declared: Mapping[str, str], typed: Mapping[str, str], beside: Container[str] = ()) -> dict[str, object]:
    """Parse arguments typed as key=value into values for the call's body. Raises ParamsInvalid with every problem.

    beside: the names of arguments that have their values already, and are not checked here.
    """
    problems: list[str] = []
    values: dict[str, object] = {}
    for name, text in typed.items():
        if name not in declared:
            continue
        try:
            values[name] = from_text(split_type(declared[name])[0], text)
        except ValueInvalid as error:
            problems.append(f"`{name}`: {error.why}; {error.instead}")
    problems += _unknown([name for name in typed if name not in declared], declared)
    try:
        open_ = {name: of for name, of in declared.items() if name not in beside}
        check({name: of for name, of in open_.items() if name in values or name not in typed}, values)
    except ParamsInvalid as error:
        problems.extend(error.problems)
    if problems:
        raise ParamsInvalid(tuple(problems))
    return values


def _is_table(raw: Raw) -> bool:
    first = bytes(raw)[0]
    return first in (0xC0, 0xDE, 0xDF) or first & 0xF0 == 0x80  # nil, map 16, map 32, fixmap


def _unknown(names: Sequence[str], declared: Mapping[str, str]) -> list[str]:
    """Return the problems of unknown names. Only the first TOLD_OF get suggestions, since finding those takes long."""
    more = len(names) - TOLD_OF
    return [_unknown_param(name, declared) for name in names[:TOLD_OF]] + (
        [f"and {more:,} more are no params"] * (more > 0)
    )


def _unknown_param(name: str, declared: Mapping[str, str]) -> str:
    shown = name if len(name) <= NAME_MOST else f"{name[:NAME_MOST]}…"
    return f"`{shown}` is not a param; " + (suggestion(name, declared) if declared else "the method takes none")
