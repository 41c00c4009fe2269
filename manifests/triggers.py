"""What triggers a scheduled run, and what the run gets of it: filters on events, and inputs (pure, total).

A filter is a table, `{ level = "high", "job.rows" = { above = 100 } }`: each row names a value in the event's body by its
path and says what it must be: equal to a text, number or truth; one of a list; or by a table of tests. A path that leads
nowhere fits nothing. An input is any value; a text that begins with `$` stands for `$time`, when the run was due, `$event`,
the event's body, or `$event.job.rows`, a value in it; `$$` is one `$`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from manifests.errors import ValueInvalid
from wire.entries import time_text

FILTER_MOST: Final = 4 * 1024
INPUTS_MOST: Final = 16 * 1024
"""Characters of a filter and of inputs, as they are printed."""

_PATH: Final = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_MOMENT: Final = re.compile(r"(?a)\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?")
_DEEPEST: Final = 32


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compared(test: Callable[[float, float], bool]) -> Callable[[object, object], bool]:
    def fits(value: object, bound: object) -> bool:
        assert isinstance(bound, int | float)
        return isinstance(value, int | float) and not isinstance(value, bool) and test(value, bound)

    return fits


def _within(value: object, part: object) -> bool:
    return isinstance(value, str) and isinstance(part, str) and part in value


TESTS: Final[dict[str, Callable[[object, object], bool]]] = {
    "above": _compared(lambda value, bound: value > bound),
    "below": _compared(lambda value, bound: value < bound),
    "at_least": _compared(lambda value, bound: value >= bound),
    "at_most": _compared(lambda value, bound: value <= bound),
    "starts": lambda value, text: isinstance(value, str) and value.startswith(str(text)),
    "holds": lambda value, part: part in value if isinstance(value, list) else _within(value, part),
    "not": lambda value, other: not _equal(value, other),
}
"""The tests that a table may ask for."""


def check_moment(text: str) -> str:
    """A time of the wall clock as it was given. Raises ValueInvalid."""
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
    """What is wrong with a filter, by row; "" is the filter itself."""
    if len(str(rows)) > FILTER_MOST:
        return {"": f"is longer than {FILTER_MOST} characters"}
    wrong = {}
    for path, wanted in rows.items():
        if _PATH.fullmatch(path) is None:
            wrong[path] = "is not a path of names with dots between them"
        elif isinstance(wanted, dict):
            if why := _misfit(wanted):
                wrong[path] = why
        elif not (_plain(wanted) or (isinstance(wanted, list) and wanted and all(map(_plain, wanted)))):
            wrong[path] = "is neither a text, number, true or false, nor a list of them, nor a table of tests"
    return wrong


def _misfit(tests: Mapping[str, object]) -> str:
    """Why a table of tests cannot be, or ""."""
    if unknown := [name for name in tests if name not in TESTS]:
        return f'has no test "{unknown[0]}"; there are {", ".join(TESTS)}'
    for name, bound in tests.items():
        if name in ("above", "below", "at_least", "at_most") and not _number(bound):
            return f"compares with {name}, which needs a number"
        if not _plain(bound):
            return f"has {name}, which needs a text, a number, true or false"
    return "" if tests else "has no test"


def _plain(value: object) -> bool:
    return isinstance(value, str | bool | int | float)


def fits(rows: Mapping[str, object], body: object) -> bool:
    """Whether an event's body is what a checked filter asks for. Total."""
    return all(_fits(found(body, path), wanted) for path, wanted in rows.items())


def _fits(value: object, wanted: object) -> bool:
    match wanted:
        case dict():
            return value is not None and all(TESTS[name](value, bound) for name, bound in wanted.items())
        case list() | tuple():
            return any(_equal(value, one) for one in wanted)
        case _:
            return _equal(value, wanted)


def _equal(value: object, wanted: object) -> bool:
    """Equal, and true is not 1."""
    return value == wanted and isinstance(value, bool) is isinstance(wanted, bool)


def found(body: object, path: str) -> object:
    """The value at a path in a body, None where it leads nowhere. A list's values go by their number."""
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
    """What is wrong with inputs, by name; "" is all of them."""
    if len(str(inputs)) > INPUTS_MOST:
        return {"": f"is longer than {INPUTS_MOST} characters"}
    return {name: why for name, value in inputs.items() if (why := _unclear(value, 0))}


def _unclear(value: object, depth: int) -> str:
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
            return next((why for one in rows if (why := _unclear(one, depth + 1))), "")
    return "holds a date, or is nested too deeply"


def uses_event(value: object) -> bool:
    """Whether checked inputs, or a value in them, stand for something of an event."""
    match value:
        case str():
            return value.startswith("$event")
        case dict():
            return any(map(uses_event, value.values()))
        case list() | tuple():
            return any(map(uses_event, value))
    return False


def filled(value: object, due: int, body: object) -> object:
    """Checked inputs with what they stand for. due: microseconds since the epoch; body: of the event, None by the clock."""
    match value:
        case "$time":
            return time_text(due)
        case "$event":
            return body
        case str() if value.startswith("$$"):
            return value[1:]
        case str() if value.startswith("$event."):
            return found(body, value.removeprefix("$event."))
        case dict():
            return {name: filled(one, due, body) for name, one in value.items()}
        case list() | tuple():
            return [filled(one, due, body) for one in value]
    return value
