"""The functions and operators of expressions, with the types that they take and return (pure).

A function reaches nothing but its arguments, and limits the size of what it makes. If an argument is no value (None), so is
the result, unless the table says `nulls`.
"""

import math
import operator
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from pipeline_rows import Kind, Value
from pipeline_values import scalar, written

TEXT_MAX: Final = 100_000
"""Most characters of a text made by an expression."""

Number = int | float | Decimal
_NUMBERS: Final = frozenset({"int", "float", "decimal"})
_DAYS: Final = frozenset({"date", "datetime"})
_TEXT: Final = frozenset({"text"})
_ANY: Final = frozenset({"int", "float", "decimal", "bool", "date", "datetime", "text"})
_INT: Final = frozenset({"int"})


class Function(NamedTuple):
    """takes: the kinds of each argument. gives: a kind, "same" for the common kind of the arguments, "first" for that of
    the first. optional: trailing arguments that may be left out. many: the last may be repeated. nulls: it is also called
    with None.
    """

    summary: str
    takes: tuple[frozenset[str], ...]
    gives: Kind | str
    run: Callable[..., Value]
    optional: int = 0
    many: bool = False
    nulls: bool = False


def _sized(text: str) -> str:
    if len(text) > TEXT_MAX:
        raise ValueError(f"the text would have more than {TEXT_MAX} characters")
    return text


def _concat(*parts: str) -> str:
    if sum(map(len, parts)) > TEXT_MAX:
        raise ValueError(f"the text would have more than {TEXT_MAX} characters")
    return "".join(parts)


def _replace(text: str, old: str, new: str) -> str:
    if not old:
        raise ValueError("replace needs a text to look for")
    if len(text) + text.count(old) * (len(new) - len(old)) > TEXT_MAX:
        raise ValueError(f"the text would have more than {TEXT_MAX} characters")
    return text.replace(old, new)


def _substring(text: str, start: int, length: int = TEXT_MAX) -> str:
    if start < 1 or length < 0:
        raise ValueError("substring counts characters from 1, and no negative number of them")
    return text[start - 1 : start - 1 + length]


def _round(number: Number, digits: int = 0) -> Number:
    if not -30 <= digits <= 30:
        raise ValueError("round takes -30 to 30 digits")
    return round(number, digits)  # type: ignore[return-value]  # of the same kind


def _between(first: date, second: date) -> int:
    return (_day(second) - _day(first)).days


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _add_days(moment: date, days: int) -> date:
    return moment + timedelta(days=days)


def _coalesce(*values: Value) -> Value:
    return next((value for value in values if value is not None), None)


def _f(
    summary: str, takes: tuple[frozenset[str], ...], gives: str, run: Callable[..., Value], optional: int = 0
) -> Function:
    return Function(summary, takes, gives, run, optional)


def _part(name: str) -> Callable[[date], int]:
    return operator.attrgetter(name)


FUNCTIONS: Final[dict[str, Function]] = {
    "abs": _f("without its sign", (_NUMBERS,), "same", abs),
    "round": _f("round(x, digits): to so many places, halves to the even digit", (_NUMBERS, _INT), "first", _round, 1),
    "floor": _f("the next int below", (_NUMBERS,), "int", math.floor),
    "ceil": _f("the next int above", (_NUMBERS,), "int", math.ceil),
    "sqrt": _f("square root", (_NUMBERS,), "float", math.sqrt),
    "ln": _f("natural logarithm", (_NUMBERS,), "float", math.log),
    "exp": _f("e to the power of x", (_NUMBERS,), "float", math.exp),
    "power": _f("power(x, y): as a float", (_NUMBERS, _NUMBERS), "float", math.pow),
    "least": Function("the smallest argument", (_ANY, _ANY), "same", min, many=True),
    "greatest": Function("the largest argument", (_ANY, _ANY), "same", max, many=True),
    "length": _f("characters", (_TEXT,), "int", len),
    "lower": _f("in small letters", (_TEXT,), "text", lambda text: _sized(text.lower())),
    "upper": _f("in capital letters", (_TEXT,), "text", lambda text: _sized(text.upper())),
    "trim": _f("without blanks around it", (_TEXT,), "text", str.strip),
    "concat": Function("one after the other", (_TEXT, _TEXT), "text", _concat, many=True),
    "replace": _f("replace(text, old, new)", (_TEXT, _TEXT, _TEXT), "text", _replace),
    "substring": _f("substring(text, start, length): start counts from 1", (_TEXT, _INT, _INT), "text", _substring, 1),
    "contains": _f("contains(text, part)", (_TEXT, _TEXT), "bool", operator.contains),
    "starts_with": _f("starts_with(text, part)", (_TEXT, _TEXT), "bool", str.startswith),
    "ends_with": _f("ends_with(text, part)", (_TEXT, _TEXT), "bool", str.endswith),
    "year": _f("of a date", (_DAYS,), "int", _part("year")),
    "month": _f("of a date, 1 to 12", (_DAYS,), "int", _part("month")),
    "day": _f("of a date, 1 to 31", (_DAYS,), "int", _part("day")),
    "weekday": _f("1 is Monday, 7 is Sunday", (_DAYS,), "int", lambda moment: moment.isoweekday()),
    "quarter": _f("of a date, 1 to 4", (_DAYS,), "int", lambda moment: (moment.month + 2) // 3),
    "hour": _f("of a datetime", (frozenset({"datetime"}),), "int", _part("hour")),
    "minute": _f("of a datetime", (frozenset({"datetime"}),), "int", _part("minute")),
    "days_between": _f("days_between(first, second)", (_DAYS, _DAYS), "int", _between),
    "add_days": _f("add_days(date, days)", (_DAYS, _INT), "first", _add_days),
    "coalesce": Function("the first argument that has a value", (_ANY, _ANY), "same", _coalesce, many=True, nulls=True),
    "is_null": Function("whether there is no value", (_ANY,), "bool", lambda value: value is None, nulls=True),
    "int": _f("as an int", (_ANY,), "int", scalar("int")),
    "float": _f("as a float", (_ANY,), "float", scalar("float")),
    "decimal": _f("as an exact decimal", (_ANY,), "decimal", scalar("decimal")),
    "text": _f("as a text", (_ANY,), "text", written),
    "date": _f("as a date", (_ANY,), "date", scalar("date")),
    "datetime": _f("as a datetime", (_ANY,), "datetime", scalar("datetime")),
}
"""Every function of expressions by its name; README.md shows this table; a test keeps the two equal."""


def null_safe(run: Callable[..., Value]) -> Callable[..., Value]:
    """Wraps a function so that it returns None if any argument is None."""

    def ask(*arguments: Value) -> Value:
        return None if None in arguments else run(*arguments)

    return ask


def _plus(left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    if isinstance(left, str) and isinstance(right, str):
        return _concat(left, right)
    return left + right  # type: ignore[operator]  # `typing_of` let only numbers through


def binary(run: Callable[[object, object], object]) -> Callable[[Value, Value], Value]:
    """Wraps an operator so that it returns None if either side is None."""

    def ask(left: Value, right: Value) -> Value:
        if left is None or right is None:
            return None
        return run(left, right)  # type: ignore[return-value]  # operators of the table give values

    return ask


def floordiv(left: Number, right: Number) -> Number:
    """Floor division for every kind. Decimal's own truncates: -7 // 2 would be -3."""
    whole = left // right  # type: ignore[operator]  # floats and decimals do not mix
    return whole - 1 if isinstance(whole, Decimal) and left % right and (left < 0) != (right < 0) else whole  # type: ignore[operator]


def mod(left: Number, right: Number) -> Number:
    """The remainder of floordiv, with the divisor's sign, for every kind."""
    part = left % right  # type: ignore[operator]
    return part + right if isinstance(part, Decimal) and part and (part < 0) != (right < 0) else part  # type: ignore[operator]


plus: Final = _plus
