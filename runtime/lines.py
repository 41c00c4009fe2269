"""The line protocol between a `command` Hand's program and its bridge (pure): one JSON object per line, docs/command.md.

Separate from bridge.py, which carries the lines, so that the protocol can be read and tested without a program. Each message
is tagged by `type`. An `id` is the number of a call, given by whoever made it: by the bridge for calls that the program
answers, by the program for calls that it makes.

Bytes are base64 text. Within a value (`arguments`, `value`, `body`, `detail`) they are the table {"$bytes": "..."}.
"""

import binascii
import math
from collections.abc import Callable, Iterator
from typing import Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from runtime.errors import CallCancelled, CallFailed, CallRefused
from wire import limits
from wire.amounts import Cost
from wire.errors import CodecError, ManipleError

PROTOCOL: Final = 1
LONGEST: Final = 8 * 1024 * 1024
"""Most bytes of a line: a body of the largest size fits, however its characters are escaped."""

_WHOLE: Final = (
    limits.BODY_MAX - 5
)  # most bytes of a piece: with its length prefix, its body is then of the largest size
_BYTES: Final = "$bytes"
_VALUES: Final = ("arguments", "body", "detail", "settings", "value")
"""Fields that hold values of the bus."""

Table: TypeAlias = dict[str, object]


class LineInvalid(ManipleError):
    """A line of the program that is not one of these messages, or is out of place."""


class _Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    pass


# both ways ------------------------------------------------------------------------------------------------------------


class Chunk(_Message, frozen=True, tag="chunk"):
    """Sent by the side that answers call `id`: a piece of the reply, before its end. labels: added to the reply."""

    id: int
    piece: bytes
    labels: tuple[str, ...] = ()


class Upload(_Message, frozen=True, tag="upload"):
    """Sent by the side that made call `id` with an upload: a piece of it, or with `last` its end."""

    id: int
    piece: bytes = b""
    last: bool = False


class Cancel(_Message, frozen=True, tag="cancel"):
    """Sent by the side that made call `id`, to cancel it. The bridge answers with Failed; the program need not."""

    id: int
    why: str = ""


class Done(_Message, frozen=True, tag="done"):
    """Sent by the side that answered request `id`: its one end, with its value. labels, cost: added to the reply."""

    id: int
    value: object = None
    labels: tuple[str, ...] = ()
    cost: Cost | None = None


# to the program -------------------------------------------------------------------------------------------------------


class Hello(_Message, frozen=True, tag="hello"):
    """Sent by the bridge first. Answered with Ready. scratch: a folder it may write to. state: a service's lasting folder."""

    protocol: int
    hand: str
    version: str
    kind: str
    run: str
    scratch: str
    state: str | None
    settings: Table


class Asked(_Message, frozen=True, tag="call"):
    """Sent by the bridge: a call to answer, with Chunks and one Done or Failed. A task's work is the method `run`.

    deadline: milliseconds until the kernel ends it. upload: Uploads follow.
    """

    id: int
    method: str
    resource: str
    arguments: Table
    labels: tuple[str, ...]
    deadline: int
    upload: bool


class Ended(_Message, frozen=True, tag="failed"):
    """Sent by the bridge: request `id` of the program did not end in Done.

    end: `failed`, `refused` or `cancelled`. grant: the line of HAND.toml that was missing. detail: the provider's.
    """

    id: int
    end: Literal["failed", "refused", "cancelled"]
    code: str
    text: str
    grant: str = ""
    detail: Table = {}


class Event(_Message, frozen=True, tag="event"):
    """Sent by the bridge: a subscribed event. missed: events before it that were dropped, since the program was slow."""

    publisher: str
    name: str
    body: object
    labels: tuple[str, ...]
    missed: int


class Settings(_Message, frozen=True, tag="settings"):
    """Sent by the bridge: the operator has changed settings; these are all of them as they are now."""

    settings: Table


class Stop(_Message, frozen=True, tag="stop"):
    """Sent by the bridge last: end now. TERM follows, then KILL."""


ToProgram: TypeAlias = Hello | Asked | Upload | Cancel | Done | Ended | Chunk | Event | Settings | Stop

# from the program -----------------------------------------------------------------------------------------------------


class Ready(_Message, frozen=True, tag="ready"):
    """Sent by the program once: it has started, and calls may come."""


class Call(_Message, frozen=True, tag="call"):
    """Sent by the program: a call to make. Answered with one Done or Failed of the same id.

    parent: the open call that it is made for; a task's calls are for its work anyway. timeout: seconds. stream: its reply
    comes in Chunks. upload: Uploads follow; the reply comes as for `stream`. most: what it may cost.
    """

    id: int
    method: str
    resource: str = ""
    arguments: Table = {}
    parent: int = 0
    timeout: float | None = None
    stream: bool = False
    upload: bool = False
    most: Cost | None = None


class Failed(_Message, frozen=True, tag="failed"):
    """Sent by the program: ends call `id` in Failed. code: for programs. text: one sentence. detail: values."""

    id: int
    code: str
    text: str
    detail: Table = {}


class Log(_Message, frozen=True, tag="log"):
    """Sent by the program: a record for the Hand's log, in which secrets are hidden. Not answered."""

    event: str
    level: Literal["info", "warning", "error"] = "info"
    fields: Table = {}


class Progress(_Message, frozen=True, tag="progress"):
    """Sent by the program: the run's progress. Answered with Done or Failed if id is above 0."""

    done: int
    total: int
    text: str = ""
    id: int = 0
    parent: int = 0


class Publish(_Message, frozen=True, tag="publish"):
    """Sent by the program: publishes an event under the Hand's name. Answered with Done or Failed if id is above 0."""

    name: str
    body: object = None
    labels: tuple[str, ...] = ()
    id: int = 0
    parent: int = 0


class Subscribe(_Message, frozen=True, tag="subscribe"):
    """Sent by the program: subscribes to `publisher.event`. Answered with Done or Failed if id is above 0."""

    event: str
    id: int = 0
    parent: int = 0


FromProgram: TypeAlias = Ready | Call | Upload | Cancel | Done | Failed | Chunk | Log | Progress | Publish | Subscribe

M = TypeVar("M", bound=_Message)
_encoder: Final = msgspec.json.Encoder()
_decoder: Final[msgspec.json.Decoder[FromProgram]] = msgspec.json.Decoder(FromProgram)


def encode(message: ToProgram) -> bytes:
    """Encodes a message as a line. Raises CodecError for a value that JSON cannot hold: too deep, of another type, not a
    finite number, or a table whose names are not texts or that would be decoded as bytes.
    """
    try:
        return _encoder.encode(_with(message, plain)) + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"JSON cannot hold this value: {error}") from None


def encode_end(number: int, error: Exception) -> bytes:
    """The line of a request's end other than Done. Detail that JSON cannot hold is left out."""
    ended = _ended(number, error)
    try:
        return encode(ended)
    except CodecError:
        return encode(replace(ended, detail={}))


def _ended(number: int, error: Exception) -> Ended:
    match error:
        case CallFailed(code=code, text=text, detail=detail):
            return Ended(id=number, end="failed", code=code, text=text, detail=detail)
        case CallRefused(code=code, why=why, grant=grant):
            return Ended(id=number, end="refused", code=code, text=why, grant=grant)
        case CallCancelled(why=why):
            return Ended(id=number, end="cancelled", code="cancelled", text=why)
        case _:
            return Ended(id=number, end="failed", code="arguments", text=str(error))


def decode(line: bytes) -> FromProgram:
    """Decodes a line of the program. Raises LineInvalid, which says what is wrong with it."""
    try:
        return _with(_decoder.decode(line), rich)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise LineInvalid(f"{error}: {line[:80].decode(errors='replace')!r}") from None


def _with(message: M, change: Callable[[object], object]) -> M:
    changed = {name: change(getattr(message, name)) for name in _VALUES if name in message.__struct_fields__}
    return replace(message, **changed) if changed else message


def pieces(piece: bytes) -> Iterator[bytes]:
    """Splits a piece into pieces that fit into a body."""
    size = len(piece) if len(piece) <= _WHOLE else limits.CHUNK_SIZE
    yield from (piece[at : at + size] for at in range(0, len(piece), size)) if piece else (piece,)


def plain(value: object) -> object:
    """Converts a value of the bus to JSON's types. Raises ValueError for one that `rich` would not restore."""
    if isinstance(value, bytes):
        return {_BYTES: binascii.b2a_base64(value, newline=False).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    if isinstance(value, dict):
        if value.keys() == {_BYTES}:
            raise ValueError(f"a table of {_BYTES} alone would be taken for bytes")
        if not all(isinstance(name, str) for name in value):
            raise ValueError("a table has a name that is not text")
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{type(value).__name__} is not one of JSON's types")


def rich(value: object) -> object:
    """Converts a value of JSON to one of the bus. Raises LineInvalid for bytes that are not base64."""
    if isinstance(value, dict):
        text = value.get(_BYTES)
        if len(value) == 1 and isinstance(text, str):
            try:
                return binascii.a2b_base64(text, strict_mode=True)
            except (binascii.Error, ValueError) as error:
                raise LineInvalid(f"{_BYTES} is not base64: {error}") from None
        return {name: rich(item) for name, item in value.items()}
    if isinstance(value, list):
        return [rich(item) for item in value]
    return value
