"""Bytes of the bus to values and back (pure): the one place where its headers and bodies are read.

msgspec reports most bad input as its own errors but lets UnicodeDecodeError and RecursionError escape; here all three
become CodecError, so that a caller has one thing to catch and no bytes can end the kernel.
"""

import math
from typing import Final, TypeAlias

import msgspec
from msgspec import structs

from wire import limits
from wire.canonical import READ_ERRORS
from wire.errors import CodecError
from wire.headers import FromKernel, FromRun, Header

Value: TypeAlias = "bool | int | float | str | bytes | list[Value] | dict[str, Value] | None"
"""What a body may hold, at most BODY_MAX bytes when encoded."""

_encoder: Final = msgspec.msgpack.Encoder()
_from_run: Final[msgspec.msgpack.Decoder[FromRun]] = msgspec.msgpack.Decoder(FromRun)
_from_kernel: Final[msgspec.msgpack.Decoder[FromKernel]] = msgspec.msgpack.Decoder(FromKernel)
_value: Final = msgspec.msgpack.Decoder()
_table: Final = msgspec.msgpack.Decoder(dict[str, msgspec.Raw] | None)
_whole: Final = msgspec.msgpack.Decoder(msgspec.Raw)
_many: Final = {0xDE: 3, 0xDF: 5}  # map 16 and map 32: bytes up to the end of how many names there are

NIL: Final = b"\xc0"
"""The body of a message that has nothing to say."""


def encode(header: Header) -> bytes:
    """A header's bytes."""
    return _encoder.encode(header)


def decode_from_run(frame: bytes | memoryview) -> FromRun:
    """The header that a run sent. Raises CodecError for anything that is not one."""
    if len(frame) > limits.HEADER_MAX:
        raise CodecError(f"a header is at most {limits.HEADER_MAX} bytes, this one has {len(frame)}")
    try:
        return _from_run.decode(frame)
    except READ_ERRORS as error:
        raise CodecError(f"not a header: {error}") from None


def decode_from_kernel(frame: bytes | memoryview) -> FromKernel:
    """The header that the kernel sent. Raises CodecError for anything that is not one."""
    try:
        return _from_kernel.decode(frame)
    except READ_ERRORS as error:
        raise CodecError(f"not a header: {error}") from None


def encode_body(value: object) -> bytes:
    """A value's bytes. Raises CodecError for what is too large or cannot be told in msgpack."""
    try:
        body = _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CodecError(f"this value cannot travel: {error}") from None
    if len(body) > limits.BODY_MAX:
        raise CodecError(
            f"a body is at most {limits.BODY_MAX} bytes, this one has {len(body)}: send it as chunks of a stream"
        )
    return body


def decode_body(frame: bytes | memoryview) -> Value:
    """A body's value. Raises CodecError for bytes that are not msgpack, and for more than BODY_MAX of them."""
    if len(frame) > limits.BODY_MAX:
        raise CodecError(f"a body is at most {limits.BODY_MAX} bytes, this one has {len(frame)}")
    try:
        value: Value = _value.decode(frame)
    except READ_ERRORS as error:
        raise CodecError(f"not a body: {error}") from None
    return value


def decode_table(frame: bytes) -> dict[str, msgspec.Raw]:
    """A body that is a table or nothing, each value as its bytes, which are well formed and not read.

    Raises CodecError for anything else, and before it takes long for more than limits.NAMES_MAX names.
    """
    count = int.from_bytes(frame[1 : _many.get(frame[0], 1)]) if frame else 0
    if count > limits.NAMES_MAX:
        raise CodecError(f"a table of arguments has at most {limits.NAMES_MAX} names, this one has {count:,}")
    try:
        return _table.decode(frame) or {}
    except READ_ERRORS as error:
        raise CodecError(f"not a table of arguments: {error}") from None


def checked(frame: bytes) -> "Value | msgspec.Raw":
    """A body's value to be told within another one; as its bytes when it is large, since to read all of them takes long.

    Those are one whole value, but its texts may be none. Raises CodecError as decode_body does.
    """
    if len(frame) <= limits.ARGUMENTS_MAX:
        return decode_body(frame)
    try:
        return _whole.decode(frame)
    except READ_ERRORS as error:
        raise CodecError(f"not a body: {error}") from None


def as_json(value: object) -> bytes:
    """A body's value as JSON, for people and models, the same each time; what JSON has no words for in words of Python's.

    A number that is none, or has no end, is "NaN", "Infinity" or "-Infinity": nobody could tell null from no value.
    """
    try:
        try:
            told = msgspec.json.encode(value, enc_hook=_spelled)
        except TypeError:  # a table with names that are no texts
            value = _named(value)
            told = msgspec.json.encode(value, enc_hook=_spelled)
    except RecursionError:
        return _DEEP
    if b"null" not in told:
        return told
    try:
        return msgspec.json.encode(_finite(value), enc_hook=_spelled)
    except RecursionError:  # msgspec goes deeper than Python does
        return told


_DEEP: Final = b'"it lies too deep within itself to be told"'


def _spelled(value: object) -> str:
    return (
        f"extension {value.code}: {bytes(value.data).hex()}" if isinstance(value, msgspec.msgpack.Ext) else repr(value)
    )


def _finite(value: object) -> object:
    """The same, with numbers that JSON has no words for, and msgspec would write as null, in words."""
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case dict():
            return {name: _finite(item) for name, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case msgspec.Struct():
            return structs.replace(value, **{name: _finite(getattr(value, name)) for name in value.__struct_fields__})
    return value


def _named(value: object) -> object:
    if isinstance(value, dict):
        return {name if isinstance(name, str) else repr(name): _named(item) for name, item in value.items()}
    return [_named(item) for item in value] if isinstance(value, list | tuple) else value
