"""Encodes and decodes the bus's headers and bodies (pure): the only place that reads them.

msgspec reports most bad input by its own errors but lets UnicodeDecodeError and RecursionError escape. Here all three
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
_many: Final = {0xDE: 3, 0xDF: 5}  # map 16 and map 32: where the count of names ends

NIL: Final = b"\xc0"
"""The body of a message without one."""


def encode(header: Header) -> bytes:
    """Encode a header."""
    return _encoder.encode(header)


def decode_from_run(frame: bytes | memoryview) -> FromRun:
    """Decode a header that a run sent. Raises CodecError if it is not one."""
    if len(frame) > limits.HEADER_MAX:
        raise CodecError(f"a header is at most {limits.HEADER_MAX} bytes, this one has {len(frame)}")
    try:
        return _from_run.decode(frame)
    except READ_ERRORS as error:
        raise CodecError(f"not a header: {error}") from None


def decode_from_kernel(frame: bytes | memoryview) -> FromKernel:
    """Decode a header that the kernel sent. Raises CodecError if it is not one."""
    try:
        return _from_kernel.decode(frame)
    except READ_ERRORS as error:
        raise CodecError(f"not a header: {error}") from None


def encode_body(value: object) -> bytes:
    """Encode a value as a body. Raises CodecError if it is too large or cannot be expressed in msgpack."""
    try:
        body = _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        is_unawaited = "type coroutine" in str(error)
        why = "it is a coroutine: write await before the call that made it" if is_unawaited else error
        raise CodecError(f"this value cannot travel: {why}") from None
    if len(body) > limits.BODY_MAX:
        raise CodecError(
            f"a body is at most {limits.BODY_MAX} bytes, this one has {len(body)}: send it as chunks of a stream"
        )
    return body


def decode_body(frame: bytes | memoryview) -> Value:
    """Decode a body. Raises CodecError if it is not msgpack, or larger than BODY_MAX."""
    if len(frame) > limits.BODY_MAX:
        raise CodecError(f"a body is at most {limits.BODY_MAX} bytes, this one has {len(frame)}")
    try:
        value: Value = _value.decode(frame)
    except READ_ERRORS as error:
        raise CodecError(f"not a body: {error}") from None
    return value


def decode_table(frame: bytes) -> dict[str, msgspec.Raw]:
    """Decode a body that is a table or nil, leaving each value as its encoded bytes, which are well formed.

    Raises CodecError for anything else; for more than limits.NAMES_MAX names before it decodes them.
    """
    count = int.from_bytes(frame[1 : _many.get(frame[0], 1)]) if frame else 0
    if count > limits.NAMES_MAX:
        raise CodecError(f"a table of arguments has at most {limits.NAMES_MAX} names, this one has {count:,}")
    try:
        return _table.decode(frame) or {}
    except READ_ERRORS as error:
        raise CodecError(f"not a table of arguments: {error}") from None


def checked(frame: bytes) -> "Value | msgspec.Raw":
    """Return a body's value for use within another body; if it is large, as its encoded bytes, since decoding takes long.

    Such bytes are one whole value, but its strings may be invalid UTF-8. Raises CodecError as decode_body() does.
    """
    if len(frame) <= limits.ARGUMENTS_MAX:
        return decode_body(frame)
    try:
        return _whole.decode(frame)
    except READ_ERRORS as error:
        raise CodecError(f"not a body: {error}") from None


def as_json(value: object) -> bytes:
    """Encode a body's value as JSON, for people and models, deterministically; what JSON cannot express as Python's repr.

    NaN and the infinities become the strings "NaN", "Infinity" and "-Infinity": null would look like no value.
    """
    try:
        try:
            text = msgspec.json.encode(value, enc_hook=_as_text)
        except TypeError:  # a table with keys that are no strings
            value = _with_string_keys(value)
            text = msgspec.json.encode(value, enc_hook=_as_text)
    except RecursionError:
        return _DEEP
    if b"null" not in text:
        return text
    try:
        return msgspec.json.encode(_finite(value), enc_hook=_as_text)
    except RecursionError:  # msgspec recurses deeper than Python can
        return text


_DEEP: Final = b'"it is nested too deeply to be shown"'


def _as_text(value: object) -> str:
    return (
        f"extension {value.code}: {bytes(value.data).hex()}" if isinstance(value, msgspec.msgpack.Ext) else repr(value)
    )


def _finite(value: object) -> object:
    """Replace numbers that JSON cannot express, which msgspec would write as null, by strings."""
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


def _with_string_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key if isinstance(key, str) else repr(key): _with_string_keys(item) for key, item in value.items()}
    return [_with_string_keys(item) for item in value] if isinstance(value, list | tuple) else value
