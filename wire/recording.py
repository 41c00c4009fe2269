"""Recordings: a run's tape as text, for tests that a project keeps and people read (pure). One JSON object per line.

    {"maniple": "recording", "format": 1, "seed": …, "hash_seed": …, "began": {…}}     first
    {"asked": {"number": 1, "kind": "call", "on": "web.fetch", "resource": "https://…"}, "body": {…}}
    {"heard": {"type": "done", "number": 1, "time": …}, "body": {…}}
    {"ended": {"type": "done", "number": 12}, "body": {…}, "labels": [… ]}                    last

`body` is a body's value; `text`, if it is bytes of UTF-8; `bytes`, its base64, if JSON cannot express it. A body that held
secrets is left out, and its line has `secret`. hash_seed determines the order of Python's sets. Written by `maniple replay
--save`, read by runtime/replayed.py.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Annotated, Final, TypedDict, get_args

import msgspec
from msgspec import Meta, Struct, structs

from wire import codec, headers
from wire.errors import CodecError, ManipleError
from wire.tape import Asked, Began, Ended, Heard, Placed, Record, Spent

FORMAT: Final = 1

_WRONG: Final = (msgspec.MsgspecError, ManipleError, ValueError, TypeError, KeyError, RecursionError)
_HEADERS: Final = {str(kind.__struct_config__.tag): kind for kind in get_args(headers.FromKernel)}


class Top(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line of a recording."""

    maniple: str = "recording"
    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)] = FORMAT
    seed: int
    hash_seed: Annotated[int, Meta(ge=0, lt=1 << 32)]
    began: dict[str, object]
    body: object = msgspec.UNSET
    text: str | msgspec.UnsetType = msgspec.UNSET
    bytes: str | msgspec.UnsetType = msgspec.UNSET


class _Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    asked: dict[str, object] | None = None
    heard: dict[str, object] | None = None
    ended: dict[str, object] | None = None
    body: object = msgspec.UNSET
    text: str | msgspec.UnsetType = msgspec.UNSET
    bytes: str = ""
    labels: tuple[str, ...] = ()
    secret: bool = False


class _Body(TypedDict, total=False):
    body: object
    text: str
    bytes: str


class Recording(Struct, frozen=True, kw_only=True):
    """A recording. seed: of the run's random numbers."""

    seed: int
    hash_seed: int
    records: tuple[Record, ...]

    def placed(self) -> Iterator[Placed]:
        """Yield the records as tape.read() does."""
        for number, record in enumerate(self.records, 1):
            yield Placed(record=record, needs=number, end=number, check=b"")


def to_lines(records: Iterable[Record], *, seed: int, hash_seed: int) -> Iterator[str]:
    """Yield the lines of a recording, without newlines. The first record must be Began."""
    for record in records:
        match record:
            case Began():
                began = _set_fields(record)
                del began["inputs"]
                yield _text(Top(seed=seed, hash_seed=hash_seed, began=began, **_body(record.inputs)))
            case Asked():
                left_out = {"body"} if record.body is None else {"body", "digest"}
                asked = {name: value for name, value in _set_fields(record).items() if name not in left_out}
                yield _text(_Line(asked=asked, **({} if record.body is None else _body(record.body))))
            case Heard():
                body: _Body = {} if record.secret else _body(record.body)
                yield _text(_Line(heard=_header(record.header), secret=record.secret, **body))
            case Spent():
                continue  # the code does not see it
            case Ended():
                yield _text(_Line(ended=_header(record.header), labels=record.labels, **_body(record.body)))


def read(text: str) -> Recording:
    """Read a recording from its text. Raises CodecError, which names the line."""
    lines = text.split("\n")
    try:
        top = msgspec.json.decode(lines[0], type=Top)
        records: list[Record] = [msgspec.convert({**top.began, "inputs": _body_of(top)}, Began)]
    except _WRONG as error:
        raise CodecError(f"line 1 is not the first of a recording: {error}") from None
    for number, line in enumerate(lines[1:], 2):
        try:
            if line:
                records.append(_record(msgspec.json.decode(line, type=_Line)))
        except _WRONG as error:
            raise CodecError(f"line {number} is not a line of a recording: {error}") from None
    return Recording(seed=top.seed, hash_seed=top.hash_seed, records=tuple(records))


def _record(line: _Line) -> Record:
    if line.asked is not None:
        if "digest" in line.asked:
            return msgspec.convert(line.asked, Asked)
        body = _body_of(line)
        digest = blake2b(body, digest_size=16).digest()
        return msgspec.convert({**line.asked, "body": body, "digest": digest}, Asked)
    if line.heard is not None:
        return Heard(header=_header_of(line.heard), body=_body_of(line), secret=line.secret)
    if line.ended is not None:
        return Ended(header=_header_of(line.ended), body=_body_of(line), labels=line.labels)
    raise CodecError("it is neither asked, heard nor ended")


def _text(line: Struct) -> str:
    return msgspec.json.encode(line).decode()


def _body(raw: bytes) -> _Body:
    """Return the fields for a body: its value or text, if the body can be made from that again, else its bytes."""
    if not raw:
        return {}
    try:
        value = codec.decode_body(raw)
        if isinstance(value, bytes) and codec.encode_body(value) == raw:
            return {"text": value.decode()}
        if codec.encode_body(msgspec.json.decode(msgspec.json.encode(value))) == raw:
            return {"body": value}
    except (CodecError, msgspec.MsgspecError, UnicodeError, RecursionError, TypeError):
        pass  # TypeError: a table with keys that are no strings
    return {"bytes": b64encode(raw).decode()}


def _body_of(line: Top | _Line) -> bytes:
    if line.body is not msgspec.UNSET:
        return codec.encode_body(line.body)
    if line.text is not msgspec.UNSET:
        return codec.encode_body(line.text.encode())
    return b64decode(line.bytes or "", validate=True)


def _header(raw: bytes) -> dict[str, object]:
    """Decode a header into its type and the fields that are not at their default."""
    header = codec.decode_from_kernel(raw)
    return {"type": str(header.__struct_config__.tag), **_set_fields(header)}


def _set_fields(of: Struct) -> dict[str, object]:
    """Return the fields that are not at their default."""
    values = ((field, getattr(of, field.name)) for field in structs.fields(of))
    return {
        field.name: msgspec.to_builtins(value)
        for field, value in values
        if value != field.default and value not in ((), {})
    }


def _header_of(line: dict[str, object]) -> bytes:
    kind = _HEADERS[str(line["type"])]
    fields = structs.fields(kind)
    if unknown := line.keys() - {"type", *(field.name for field in fields)}:
        raise CodecError(f"{line['type']} has no {', '.join(sorted(unknown))}")
    array = [line["type"], *(line[one.name] if one.required else line.get(one.name, one.default) for one in fields)]
    return codec.encode(msgspec.convert(array, kind))
