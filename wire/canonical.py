"""Canonical JSON, RFC 8785, for the subset of JSON that the log uses (pure).

Everything that is hashed or signed as JSON goes through here, so that equal values have equal bytes. The subset: str, int,
bool, None, list (or tuple), dict and Struct. No floats, whose spelling is the hard half of the RFC; integers of at most 53
bits, which every JSON reader keeps exactly; ASCII keys, for which the RFC's order by UTF-16 code units is the order of bytes;
at most DEPTH levels, so that whatever can be written can be read back.
"""

from typing import Final

import msgspec

from wire.errors import CodecError, Unencodable

INT_LIMIT: Final = 2**53
"""Integers are strictly between -INT_LIMIT and INT_LIMIT."""

DEPTH: Final = 32
"""Most levels of nested lists and objects; a scalar has depth 0."""

READ_ERRORS: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""All exceptions that msgspec raises when it decodes hostile bytes, JSON or msgpack."""

_SCALARS: Final = frozenset({str, bool, type(None)})
_CONTAINERS: Final = (dict, list, tuple, msgspec.Struct)
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder()


def encode(value: object) -> bytes:
    """Encode a value canonically: UTF-8, no newline. Raises Unencodable (a ValueError) outside the subset above."""
    check(value)
    try:
        return _ENCODER.encode(value)
    except UnicodeError as error:
        raise Unencodable("a string holds half of a surrogate pair, which has no UTF-8 form") from error


def decode(data: bytes) -> object:
    """Decode canonical bytes. Raises CodecError if they are not JSON, outside the subset, or not canonical."""
    try:
        value: object = _DECODER.decode(data)
        again = encode(value)
    except READ_ERRORS as error:
        raise CodecError(f"not JSON: {error}") from error
    except Unencodable as error:
        raise CodecError(f"not canonical JSON: {error}") from error
    if again != data:
        raise CodecError("not canonical JSON: the same value has another spelling")
    return value


def check(value: object) -> None:
    """Raise Unencodable, naming what is wrong, if the value lies outside the subset of JSON described above."""
    level: list[object] = [value]
    for depth in range(DEPTH + 1):
        inner: list[object] = []
        for item in level:
            if depth == DEPTH and isinstance(item, _CONTAINERS):
                raise Unencodable(f"lists and objects lie more than {DEPTH} deep")
            _check_one(item, inner)
        if not inner:
            return
        level = inner


def _check_one(item: object, inner: list[object]) -> None:
    """Check one value by itself, and add the values in it to `inner`."""
    kind = type(item)
    if kind in _SCALARS:
        return
    if kind is int:
        assert isinstance(item, int)
        if not -INT_LIMIT < item < INT_LIMIT:
            raise Unencodable("an integer needs more than 53 bits; write it as a string")
    elif isinstance(item, dict):
        for key in item:
            _check_key(key)
        inner.extend(item.values())
    elif isinstance(item, list | tuple):
        inner.extend(item)
    elif isinstance(item, msgspec.Struct):
        for key in item.__struct_encode_fields__:
            _check_key(key)
        inner.extend(getattr(item, name) for name in item.__struct_fields__)
    else:
        raise Unencodable(f"{kind.__name__} has no place in canonical JSON; use str, int, bool, None, list or dict")


def _check_key(key: object) -> None:
    if type(key) is not str or not key.isascii():
        raise Unencodable(f"the key {key!r} is not an ASCII string")
