"""The types of params, replies and settings: checking and conversion of values (pure).

Separate because a method's params and a Hand's settings use the same types and must read them alike. A Hand gets:

    string   str                          int    int, below 2**63 either way
    float    float, finite                bool   bool
    bytes    bytes                        list   list    (of what `any` allows)
    duration float, seconds ("90s", 90)   dict   dict    (with text keys)
    size     int, bytes ("4MiB", 4194304) any    all of these but duration and size, and None

Raises ValueInvalid with what to write instead.
"""

import math
from typing import Final

from manifests.errors import ValueInvalid
from manifests.values import LARGEST, LONGEST_MS, parse_duration, parse_size

TYPES: Final = ("string", "int", "float", "bool", "bytes", "duration", "size", "list", "dict", "any")
DEEPEST: Final = 32
_INT_END: Final = 2**63

_WRITE: Final = {
    "string": "give a text",
    "int": "give a whole number",
    "float": "give a number",
    "bool": "give true or false",
    "bytes": "give bytes",
    "duration": 'give a time such as "60s"',
    "size": 'give a size such as "4MiB"',
    "list": "give a list",
    "dict": "give a table",
    "any": "give a text, number, true, false, list or table",
}


def split_type(text: str) -> tuple[str, bool]:
    """Split a declared type into type and whether it is optional: ("duration", True). ValueInvalid for an unknown type."""
    of_type = text.removesuffix("?")
    if of_type not in TYPES:
        raise ValueInvalid(
            f'"{text}" is not a type', f"write one of {', '.join(TYPES)}, with ? at its end when it may be left out"
        )
    return of_type, of_type != text


def type_words(value: object) -> str:
    """Describe a value's type for a person: "a number"."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case bytes():
            return "bytes"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case dict():
            return "a table"
        case _:
            return "a date or time"


def convert(of_type: str, value: object) -> object:
    """Return the value as a Hand gets it. Raises ValueInvalid if it is not of the type."""
    match of_type, value:
        case ("string", str()):
            return _text(value)
        case ("bool", bool()) | ("bytes", bytes()):
            return value
        case ("int" | "float" | "duration" | "size", bool()):
            pass
        case ("int", int()):
            return _int(value)
        case ("float", int() | float()):
            return _finite(value)
        case ("duration", str()):
            return parse_duration(value) / 1000
        case ("duration", int() | float()):
            return _between(_finite(value), LONGEST_MS / 1000, "a time", 'give a time such as "60s"')
        case ("size", str()):
            return parse_size(value)
        case ("size", int()):
            return _between(value, LARGEST, "a size", 'give a size such as "4MiB"')
        case ("list", list() | tuple()) | ("dict", dict()) | ("any", _):
            return _plain(value)
        case _:
            pass
    raise ValueInvalid(f"it is {type_words(value)}, not {_article(of_type)}", _WRITE[of_type])


def from_text(of_type: str, text: str) -> object:
    """Parse a value typed after `key=`: JSON for lists and tables, the text itself for a string.

    For `any`, JSON if it is valid JSON, else the text. `convert` still has to check the result.
    """
    match of_type:
        case "bytes":
            return _text(text).encode()
        case "bool" if text in ("true", "false"):
            return text == "true"
        case "int" | "float" | "size" | "duration" if _number(text) is not None:
            return _number(text)
        case "list" | "dict":
            value = _json(text)
            if value is None:
                raise ValueInvalid(
                    f"it is not {_article(of_type)} in JSON",
                    "write JSON such as " + ('["a", 1]' if of_type == "list" else '{"a": 1}'),
                )
            return value
        case "any":
            value = _json(text)
            return text if value is None and text != "null" else value
        case _:
            return text


def _article(of_type: str) -> str:
    return {"int": "an int", "any": "a value", "bytes": "bytes"}.get(of_type, f"a {of_type}")


def _text(value: str) -> str:
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueInvalid("it holds half a surrogate pair", "give proper Unicode text")
    return value


def _int(value: int) -> int:
    if not -_INT_END < value < _INT_END:
        raise ValueInvalid("its number is too large", "give a whole number below 2**63")
    return value


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueInvalid("it is not a finite number", "give a number")
    return number


def _between(value: float, most: float, what: str, instead: str) -> float:
    if not 0 <= value <= most:
        raise ValueInvalid(f"{value} is out of range for {what}", instead)
    return value


def _plain(value: object) -> object:
    """Return the value, with lists in place of tuples. Raises ValueInvalid if it cannot be sent in a body.

    A body may hold a million values, and others wait meanwhile: so it goes level by level, without a call for most values.
    """
    level, depth, is_plain = [value], 0, True
    while level:
        if depth > DEEPEST:
            raise ValueInvalid(f"it is nested more than {DEEPEST} deep", "give a flatter value")
        below = list[object]()
        for one in level:
            if type(one) is list:
                below += one
            elif type(one) is str:
                if not one.isascii():
                    _text(one)
            elif type(one) is int:
                if not -_INT_END < one < _INT_END:
                    _int(one)
            elif one is not None and one is not True and one is not False:
                is_plain &= _check_rare(one, below)
        level, depth = below, depth + 1
    return value if is_plain else _as_lists(value)


def _check_rare(one: object, below: list[object]) -> bool:
    """Check a value of a rarer type, and add its items to `below`. Returns whether it may be sent unchanged."""
    match one:
        case bool() | bytes():
            return True
        case str():
            _text(one)
        case int():
            _int(one)
        case float():
            _finite(one)
        case list() | tuple():
            below += one
            return False
        case dict():
            if not all(isinstance(key, str) for key in one):
                raise ValueInvalid("a key in it is not a text", "give a table with text keys")
            for key in one:
                _text(key)
            below += one.values()
            return type(one) is dict
        case _:
            raise ValueInvalid(f"it holds {type_words(one)}", "write it as a text")
    return True


def _as_lists(value: object) -> object:
    """Copy a checked value into new lists and tables."""
    match value:
        case list() | tuple():
            return [_as_lists(item) for item in value]
        case dict():
            return {key: _as_lists(item) for key, item in value.items()}
        case _:
            return value


def _number(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _json(text: str) -> object:
    import msgspec

    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return value
