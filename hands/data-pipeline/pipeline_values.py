"""The column types: what each accepts, how values are converted to it, and how they are written (pure).

Two ways give the same values: `_swift_*` converts a whole list of strings at once with the interpreter's own C code, and
gives up (ValueError) at anything it is not sure of; `scalar` is the rule, value by value, with a reason for each refusal. A
property test compares the two.

Rules: surrounding blanks are ignored in numbers, dates and bools. int: 64 bits. float: finite. decimal: exact, at most 38
digits before and after the point. date: YYYY-MM-DD or YYYY/MM/DD. datetime: ISO 8601; one with an offset is converted to
UTC. bool: true, false, yes, no, 1, 0 in any case. text: anything but bytes; a list or object becomes JSON.
"""

import math
import re
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import Final

from pipeline_rows import JSON, Faults, Kind, Value

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
DIGITS_MAX: Final = 38
PLAIN_MAX: Final = 1_000
"""Most digits of a number that is written without an exponent; 1E+999999999 would have a billion."""

EXACT: Final = Context(prec=100)
"""The context for decimals: numbers of 38 digits on either side of the point multiply and add without loss."""
_SMALLEST: Final = Decimal(1).scaleb(-DIGITS_MAX)

_INT: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}([-/])[0-9]{2}\1[0-9]{2}", re.ASCII)
_DATETIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
BOOLS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_WRONG: Final = (ValueError, TypeError, OverflowError, InvalidOperation, RecursionError)


class Misfit(ValueError):
    """A value does not fit its type. The text is a clause for a person."""


# one value at a time ------------------------------------------------------------------------------------------------


def _shown(value: object) -> str:
    try:
        text = repr(value) if not isinstance(value, str) else f'"{value}"'
    except RecursionError:  # JSON lists nested a thousand deep
        return "a value too deep to be shown"
    return text if len(text) <= 60 else f"{text[:59]}…"


def _int(value: object) -> int:
    if isinstance(value, bool):
        raise Misfit(f"{_shown(value)} is a bool, not an int")
    if isinstance(value, float | Decimal):
        if not INT_MIN <= value <= INT_MAX:
            raise Misfit(f"{_shown(value)} does not fit into 64 bits")
        if value != int(value):
            raise Misfit(f"{_shown(value)} has a fraction")
        value = int(value)
    elif isinstance(value, str):
        if not _INT.fullmatch(value.strip()):
            raise Misfit(f"{_shown(value)} is not an int")
        value = int(value)
    if not isinstance(value, int):
        raise Misfit(f"{_shown(value)} is not an int")
    if not INT_MIN <= value <= INT_MAX:
        raise Misfit(f"{_shown(value)} does not fit into 64 bits")
    return value


def _number(value: object) -> int | float | Decimal | str:
    """Returns a number, or a text that is one. Raises Misfit."""
    is_other_text = isinstance(value, str) and not _NUMBER.fullmatch(value.strip())
    if is_other_text or isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise Misfit(f"{_shown(value)} is not a number")
    return value


def _float(value: object) -> float:
    found = float(_number(value))
    if not math.isfinite(found):
        raise Misfit(f"{_shown(value)} is not a finite number")
    return found


def _decimal(value: object) -> Decimal:
    value = _number(value)
    found = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    sign_digits_exponent = found.as_tuple()
    exponent = sign_digits_exponent.exponent
    if not isinstance(exponent, int):
        raise Misfit(f"{_shown(value)} is not a finite number")
    if exponent < -DIGITS_MAX or found.adjusted() >= DIGITS_MAX:
        raise Misfit(f"{_shown(value)} has more than {DIGITS_MAX} digits before or after the point")
    return found


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    found = BOOLS.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if found is None:
        raise Misfit(f"{_shown(value)} is not a bool; true and false are")
    return found


def _date(value: object, form: str = "") -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if not isinstance(value, str):
        raise Misfit(f"{_shown(value)} is not a date")
    if form:
        return _with_form(value.strip(), form).date()
    text = value.strip()
    if not _DATE.fullmatch(text):
        raise Misfit(f"{_shown(value)} is not a date such as 2012-12-31")
    try:
        return date.fromisoformat(text.replace("/", "-"))
    except ValueError as error:
        raise Misfit(f"{_shown(value)} is no day of the calendar: {error}") from None


def _datetime(value: object, form: str = "") -> datetime:
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, date):
        found = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a day without a zone stays without one
    elif not isinstance(value, str):
        raise Misfit(f"{_shown(value)} is not a datetime")
    elif form:
        found = _with_form(value.strip(), form)
    elif _DATE.fullmatch(value.strip()):
        return _datetime(_date(value))
    elif not _DATETIME.fullmatch(value.strip()):
        raise Misfit(f"{_shown(value)} is not a datetime such as 2012-12-31T23:59:59Z")
    else:
        try:
            found = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise Misfit(f"{_shown(value)} is no moment of the calendar: {error}") from None
    return found if found.tzinfo is None or found.tzinfo is UTC else found.astimezone(UTC)


@lru_cache(maxsize=65_536)
def _with_form(text: str, form: str) -> datetime:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - the form decides whether there is a zone
    except ValueError:
        raise Misfit(f'{_shown(text)} is not of the form "{form}"') from None


def form_fault(form: str) -> str:
    """Why a strptime format is unusable, or "": tests it by formatting and parsing one time."""
    try:
        _FORMED.strptime(_FORMED.strftime(form).strip(), form)
    except (
        ValueError,
        re.error,
    ) as error:  # re.error: strptime builds an expression, in which a repeated field is an error
        return str(error)
    return ""


_FORMED: Final = datetime(2012, 12, 31, 23, 59, 58, 123_456, UTC)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        raise Misfit("the value is binary, and no column type holds that")
    if isinstance(value, dict | list):
        value = JSON.encode(value).decode()
    text = value if isinstance(value, str) else written(value)
    if not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
        raise Misfit("the text holds half a Unicode surrogate pair")
    return text


def scalar(kind: Kind, form: str = "") -> Callable[[object], Value]:
    """The function that converts one value, not None, to this kind. It raises Misfit."""
    if form and kind in ("date", "datetime"):
        return partial(_date if kind == "date" else _datetime, form=form)
    return _SCALARS[kind]


_SCALARS: Final[dict[Kind, Callable[[object], Value]]] = {
    "int": _int, "float": _float, "decimal": _decimal, "bool": _bool, "date": _date, "datetime": _datetime,
    "text": _text,
}  # fmt: skip


# a whole column at a time --------------------------------------------------------------------------------------------


def _plain(values: Sequence[str]) -> str:
    joined = "".join(values)
    if not joined.isascii() or "_" in joined:
        raise ValueError
    return joined


def _swift_int(values: list[str]) -> list[Value]:
    _plain(values)
    found = list(map(int, values))
    if found and not (min(found) >= INT_MIN and max(found) <= INT_MAX):
        raise ValueError
    return found  # type: ignore[return-value]  # list is invariant; nobody puts other values into it


def _swift_float(values: list[str]) -> list[Value]:
    _plain(values)
    found = list(map(float, values))
    if not math.isfinite(sum(found)):
        raise ValueError
    return found  # type: ignore[return-value]


def _swift_date(values: list[str]) -> list[Value]:
    joined = _plain(values)
    if "W" in joined or set(map(len, values)) != {10}:
        raise ValueError
    if "/" in joined:
        if "-" in joined or any(value[4] != "/" or value[7] != "/" for value in values):
            raise ValueError
        values = [value.replace("/", "-") for value in values]
    return list(map(date.fromisoformat, values))


def _swift_text(values: list[str]) -> list[Value]:
    joined = "".join(values)
    if not joined.isascii():
        joined.encode()
    return values  # type: ignore[return-value]


_SWIFT: Final[dict[Kind, Callable[[list[str]], list[Value]]]] = {
    "int": _swift_int, "float": _swift_float, "date": _swift_date, "text": _swift_text,
}  # fmt: skip
_OWN: Final[dict[Kind, type]] = {"int": int, "float": float, "bool": bool, "date": date, "text": str}


def _is_own(kind: Kind, values: list[Value]) -> bool:
    """Whether values that already have the kind's Python type are valid as they are."""
    if kind == "int":
        return not values or (min(values) >= INT_MIN and max(values) <= INT_MAX)  # type: ignore[type-var,operator]
    return kind != "float" or math.isfinite(sum(values))  # type: ignore[arg-type]


class Converter:
    """Converts columns to one kind. nulls: texts that mean no value. form: a strptime format for dates."""

    def __init__(self, name: str, kind: Kind, *, nulls: Collection[str] = (), form: str = "") -> None:
        self.name = name
        self.kind = kind
        self._nulls = frozenset(nulls)
        self._scalar = scalar(kind, form)
        self._swift = None if form else _SWIFT.get(kind)
        self._own = _OWN.get(kind)

    def column(self, values: Sequence[object], faults: Faults) -> list[Value]:
        """Converts values. One that does not fit becomes None, and a fault is added."""
        types = set(map(type, values))
        if types == {str} and self._swift is not None:
            try:
                return self._strings(values)  # type: ignore[arg-type]  # all of them are str
            except _WRONG:
                pass
        elif self._own is not str and types <= {self._own, type(None)}:
            there = [value for value in values if value is not None] if type(None) in types else list(values)
            if _is_own(self.kind, there):  # type: ignore[arg-type]  # all of them are of this kind
                return list(values)  # type: ignore[arg-type]
        return self._one_by_one(values, faults)

    def _strings(self, values: list[str]) -> list[Value]:
        assert self._swift is not None
        if self._nulls.isdisjoint(values):
            return self._swift(list(values))
        nulls = self._nulls
        found = iter(self._swift([value for value in values if value not in nulls]))
        return [None if value in nulls else next(found) for value in values]

    def _one_by_one(self, values: Sequence[object], faults: Faults) -> list[Value]:
        found: list[Value] = []
        for row, value in enumerate(values):
            if value is None or (isinstance(value, str) and value in self._nulls):
                found.append(None)
                continue
            try:
                found.append(self._scalar(value))
            except _WRONG as error:
                faults.add(
                    row, self.name, "type", str(error) if isinstance(error, Misfit) else f"{_shown(value)}: {error}"
                )
                found.append(None)
        return found


def settled(value: Value) -> Value:
    """Rounds a decimal to the digits that it may have after the point, as after a division."""
    if isinstance(value, Decimal) and value.is_finite() and value.as_tuple().exponent < -DIGITS_MAX:  # type: ignore[operator]
        return value.quantize(_SMALLEST, context=EXACT)
    return value


# writing -------------------------------------------------------------------------------------------------------------


def written(value: object) -> str:
    """A value, not None, as text in the one form that all targets use."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) <= PLAIN_MAX else str(value)
    return str(value)


def plain_column(kind: Kind, values: list[Value]) -> list[Value]:
    """A column as SQLite stores it: a bool as 0 or 1, decimals and dates as text, the rest as it is."""
    match kind:
        case "bool":
            return [None if value is None else int(value) for value in values]  # type: ignore[arg-type]
        case "date":
            return [value.isoformat() if isinstance(value, date) else None for value in values]
        case "datetime" | "decimal":
            return [None if value is None else written(value) for value in values]
        case _:
            return values
