"""Filters on the events that start scheduled runs, and the inputs of such runs (pure, total).

A filter is a table, `{ level = "high", "job.rows" = { above = 100 } }`: each row names a value in the event's body by its
path and gives what it must be: a text, number or boolean to equal; a list of those; or a table of TESTS. A path that does
not exist matches nothing. An input is any value; a text that begins with `$` is replaced: `$time` by the time when the
run was due, `$event` by the event's body, `$event.job.rows` by a value in it; `$$` is one `$`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from manifests.errors import ValueInvalid
from wire.entries import time_text

FILTER_MOST: Final = 4 * 1024
INPUTS_MOST: Final = 16 * 1024
"""The most characters of a filter and of inputs, as Python prints them."""

_PATH: Final = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_MOMENT: Final = re.compile(r"(?a)\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?")
_DEEPEST: Final = 32


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numeric_test(test: Callable[[float, float], bool]) -> Callable[[object, object], bool]:
    def fits(value: object, bound: object) -> bool:
        assert isinstance(bound, int | float)
        return isinstance(value, int | float) and not isinstance(value, bool) and test(value, bound)

    return fits


def _within(value: object, part: object) -> bool:
    return isinstance(value, str) and isinstance(part, str) and part in value


TESTS: Final[dict[str, Callable[[object, object], bool]]] = {
    "above": _numeric_test(lambda value, bound: value > bound),
    "below": _numeric_test(lambda value, bound: value < bound),
    "at_least": _numeric_test(lambda value, bound: value >= bound),
    "at_most": _numeric_test(lambda value, bound: value <= bound),
    "starts": lambda value, text: isinstance(value, str) and value.startswith(str(text)),
    "holds": lambda value, part: (
        any(_equal(one, part) for one in value) if isinstance(value, list) else _within(value, part)
    ),
    "not": lambda value, other: not _equal(value, other),
}
"""The tests of a filter, by name: functions of a value and the test's argument."""


def check_moment(text: str) -> str:
    """Return a wall-clock time unchanged. Raises ValueInvalid if it is malformed, or not from 1971 to 2999."""
    write = 'write date and time, without a zone, such as "2026-12-01T09:00"'
    if _MOMENT.fullmatch(text) is None:
        raise ValueInvalid(f'"{text[:80]}" is not a time', write)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueInvalid(f'"{text}" is not a time: {error}', write) from None
    if not 1970 < moment.year < 3000:
        raise ValueInvalid(f'"{text}" is too far away', "write a year from 1971 to 2999")
    return text


def check_filter(rows: Mapping[str, object]) -> dict[str, str]:
    """Return what is wrong with a filter, by row, or under "" for the whole filter."""
    if len(str(rows)) > FILTER_MOST:
        return {"": f"is longer than {FILTER_MOST} characters"}
    wrong = {}
    for path, wanted in rows.items():
        if _PATH.fullmatch(path) is None:
            wrong[path] = "is not a path of names with dots between them"
        elif isinstance(wanted, dict):
            if why := _test_fault(wanted):
                wrong[path] = why
        elif not (_is_scalar(wanted) or (isinstance(wanted, list) and wanted and all(map(_is_scalar, wanted)))):
            wrong[path] = "is neither a text, number, true or false, nor a list of them, nor a table of tests"
    return wrong


def _test_fault(tests: Mapping[str, object]) -> str:
    """Return what is wrong with a table of tests, or ""."""
    if unknown := [name for name in tests if name not in TESTS]:
        return f'has no test "{unknown[0]}"; there are {", ".join(TESTS)}'
    for name, bound in tests.items():
        if name in ("above", "below", "at_least", "at_most") and not _is_number(bound):
            return f"compares with {name}, which needs a number"
        if not _is_scalar(bound):
            return f"has {name}, which needs a text, a number, true or false"
    return "" if tests else "has no test"


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | bool | int | float)


def matches(rows: Mapping[str, object], body: object) -> bool:
    """Whether an event's body matches a checked filter. Total."""
    return all(_matches(value_at(body, path), wanted) for path, wanted in rows.items())


def _matches(value: object, wanted: object) -> bool:
    match wanted:
        case dict():
            return value is not None and all(TESTS[name](value, bound) for name, bound in wanted.items())
        case list() | tuple():
            return any(_equal(value, one) for one in wanted)
        case _:
            return _equal(value, wanted)


def _equal(value: object, wanted: object) -> bool:
    """Whether two values are equal; true is not 1."""
    return value == wanted and isinstance(value, bool) is isinstance(wanted, bool)


def value_at(body: object, path: str) -> object:
    """Return the value at a path in a body, None if there is none. Items of lists are named by index."""
    for name in path.split("."):
        match body:
            case dict():
                body = body.get(name)
            case list() if name.isdecimal() and name.isascii() and len(name) < 7 and int(name) < len(body):
                body = body[int(name)]
            case _:
                return None
    return body


def check_inputs(inputs: Mapping[str, object]) -> dict[str, str]:
    """Return what is wrong with inputs, by name, or under "" for all together."""
    if len(str(inputs)) > INPUTS_MOST:
        return {"": f"is longer than {INPUTS_MOST} characters"}
    return {name: why for name, value in inputs.items() if (why := _input_fault(value, 0))}


def _input_fault(value: object, depth: int) -> str:
    match value:
        case str() if value.startswith("$") and not value.startswith("$$"):
            root, _, path = value[1:].partition(".")
            if root == "time" and value == "$time":
                return ""
            if root == "event" and (value == "$event" or _PATH.fullmatch(path)):
                return ""
            return f'holds "{value[:80]}", which is neither $time nor $event with a path; a text that begins with $ has two'
        case str() | bool() | int() | float():
            return ""
        case dict() | list() if depth < _DEEPEST:
            rows = value.values() if isinstance(value, dict) else value
            return next((why for one in rows if (why := _input_fault(one, depth + 1))), "")
    return "holds a date, or is nested too deeply"


def uses_event(value: object) -> bool:
    """Whether checked inputs, or a value in them, use the event."""
    match value:
        case str():
            return value.startswith("$event")
        case dict():
            return any(map(uses_event, value.values()))
        case list() | tuple():
            return any(map(uses_event, value))
    return False


def fill(value: object, due: int, body: object) -> object:
    """Return checked inputs with $time and $event replaced. due: microseconds since the epoch; body: the event's, None for
    a run by the clock."""
    match value:
        case "$time":
            return time_text(due)
        case "$event":
            return body
        case str() if value.startswith("$$"):
            return value[1:]
        case str() if value.startswith("$event."):
            return value_at(body, value.removeprefix("$event."))
        case dict():
            return {name: fill(one, due, body) for name, one in value.items()}
        case list() | tuple():
            return [fill(one, due, body) for one in value]
    return value
