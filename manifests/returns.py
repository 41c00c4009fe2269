"""Checks a method's reply against the `returns` that it declares (pure).

Separate because the runtime checks the replies of every kind of Hand, and so do tests of Hands. It checks only the type
of declared fields: lists and tables may contain anything that can be encoded, and a reply may have more fields. An
optional field may be null.
"""

from collections.abc import Mapping
from types import NoneType
from typing import Final

from manifests.errors import ValueInvalid
from manifests.typed import TYPES, convert, split_type, type_words

TOLD_OF: Final = 5

_PLAIN: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,), "int": (int,), "float": (int,), "bool": (bool,), "bytes": (bytes,), "list": (list, tuple),
    "dict": (dict,), "any": (str, bool, bytes, list, tuple, dict, int, float),
}  # fmt: skip
_OPTIONAL: Final[tuple[tuple[str, tuple[type, ...]], ...]] = (("", ()), ("?", (NoneType,)))
_FITS: Final = {
    f"{name}{mark}": frozenset((*_PLAIN.get(name, ()), *none)) for name in TYPES for mark, none in _OPTIONAL
}  # fmt: skip
"""By declared type, the Python types whose values always fit, except integers beyond 64 bits."""

_INT_END: Final = 2**63


def misfits(declared: Mapping[str, str], value: object) -> tuple[str, ...]:
    """Return a sentence for each field that is not as declared, with what it is and what was declared; () if all are."""
    if not isinstance(value, dict):
        return (f"it is {type_words(value)}, not a table",) if declared else ()
    found: list[str] = []
    for name, of in declared.items():
        one = value.get(name)
        fits = type(one) in _FITS[of] and (type(one) is not int or -_INT_END < one < _INT_END)
        if not fits and (why := _why(name, of, one, is_there=name in value)):
            found.append(why)
    more = len(found) - TOLD_OF
    return (*found[:TOLD_OF], *([f"and {more} more"] if more > 0 else []))


def _why(name: str, of: str, value: object, *, is_there: bool) -> str:
    of_type, _ = split_type(of)
    if not is_there:
        return f"`{name}` is missing, declared as {of}"
    if value is None and of_type == "any":
        return ""
    try:
        convert(of_type, value)
    except ValueInvalid as error:
        return f"`{name}`: {error.why}"
    return ""
