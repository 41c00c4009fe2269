"""The tape of a task run (pure): what it was given and what it asked, in order, so that it can be gone through again.

A tape is a row of records, each a length, a check and a packed record. The check is a keyed hash over the one before
and this record, so one that was changed, dropped, moved or put in is found at its place. `needs` says how many entries
the log must have for a record to count: the log is the only truth, and what a crash took from it is taken from the tape.

    Began, once    what the run was begun with
    Asked          a call, publication or subscription, as the run sent it
    Heard          a message that the kernel gave it, in the order in which it gave them
    Spent          what it has used of its limits so far; the last one counts
    Ended, last    how its work ended

Written by kernel/record/journal.py; read there, by the kernel that resumes a run, and by `maniple replay`.
"""

import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from wire import codec, headers
from wire.canonical import READ_ERRORS
from wire.entries import Cost, Number
from wire.errors import CodecError, TapeDamaged

CHECK: Final = 16
"""Bytes of a record's check."""

RECORD_MOST: Final = 2 * 1024 * 1024
"""Bytes of a record, more than a header and a body together can have."""

ASKED_MOST: Final = 16 * 1024
"""Bytes of a request's body that is kept: larger ones would let a run that is refused everything fill the disk."""

_KINDS: Final = {headers.Call: "call", headers.Publish: "publish", headers.Subscribe: "subscribe"}
_LENGTH: Final = struct.Struct("<I")
HEAD: Final = _LENGTH.size + CHECK
"""Bytes before each record: its length and its check."""


class Began(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="began"):
    """The run's beginning. clock: microseconds since 1970, what its clock shows until its first message.

    inputs: the body of its work. settings: without the secret ones. caller: who asked for it; chain: in whose name, the
    principals up the chain and their Hands' ids, innermost first. asked: number of the call that did. deadline: the
    milliseconds its work may take.
    """

    run: str
    hand: str
    name: str
    version: str
    seal: str
    clock: int
    inputs: bytes
    settings: dict[str, object] = {}
    work: Number
    caller: str
    chain: tuple[tuple[str, str], ...] = ()
    asked: Number = 0
    parent: Number = 0
    spawner: str = ""
    labels: tuple[str, ...] = ()
    most: Cost | None = None
    deadline: Number = 0


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, tag="asked"):
    """A request of the run's. kind: `call`, `publish` or `subscribe`; number: the run's own; on: method or event.

    digest: BLAKE2b of its body; the body itself is kept up to ASKED_MOST bytes, since it would be made again.
    """

    number: Number
    kind: str
    on: str
    resource: str = ""
    digest: bytes
    body: bytes | None = None


def asked(number: int, kind: str, on: str, resource: str = "", body: bytes = b"") -> Asked:
    """The record of a request."""
    digest = blake2b(body, digest_size=16).digest()
    return Asked(number=number, kind=kind, on=on, resource=resource, digest=digest, body=kept_of(body))


def asked_by(header: headers.Request, body: bytes) -> Asked:
    """The record of a request, by its header."""
    on, resource = (header.method, header.resource) if isinstance(header, headers.Call) else (header.event, "")
    return asked(header.number, _KINDS[type(header)], on, resource, body)


def kept_of(body: bytes) -> bytes | None:
    """What is kept of a request's body."""
    return body if len(body) <= ASKED_MOST else None


class Heard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, tag="heard"):
    """A message to the run: its header's bytes and its body. secret: the body holds secrets, and is not kept."""

    header: bytes
    body: bytes = b""
    secret: bool = False


def heard(header: bytes, body: bytes, secret: bool) -> Heard:
    """The record of a message."""
    return Heard(header=header, body=body, secret=secret)


class Left:
    """A message whose body leaves memory as soon as it is on the tape, and comes from there when the run is told of it.

    Called, it is the record. at, before: where that begins, and the check of the one before; body: None once it is there.
    """

    __slots__ = ("at", "before", "body", "raw")

    def __init__(self, raw: bytes, body: bytes) -> None:
        self.raw = raw
        self.body: bytes | None = body
        self.at, self.before = 0, b""

    def __call__(self) -> Heard:
        return Heard(header=self.raw, body=self.body or b"")

    def read(self, take: Callable[[int], bytes], key: bytes) -> bytes:
        """The body, from the tape. take: as a file's read(), from `at` on. Raises TapeDamaged."""
        for placed in read(take, key, self.at, self.before):
            if isinstance(placed.record, Heard):
                return placed.record.body
            break
        raise TapeDamaged(self.at, "this is not what was written")


class Ended(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ended"):
    """The end of its work: the end's header and its body, and the labels of all it had seen. instead: the run that goes
    on in its place, whose end is heard as this one's; "" for none.
    """

    header: bytes
    body: bytes = b""
    labels: tuple[str, ...] = ()
    instead: str = ""


class Spent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="spent"):
    """What a run has used of its limits. wall: milliseconds that counted; cpu: microseconds of all its processes."""

    wall: Number = 0
    cpu: Number = 0


Record: TypeAlias = Began | Asked | Heard | Spent | Ended


class Placed(Struct, frozen=True, kw_only=True, gc=False):
    """A record as it was read. needs: entries the log must have; end: bytes of the tape up to its end; check: its check."""

    record: Record
    needs: int
    end: int
    check: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[int, Record]).decode


def key_of(secret: bytes) -> bytes:
    """The key of a tape's checks, from the key of the run's digests."""
    return blake2b(b"maniple tape", key=secret, digest_size=32).digest()


def seed_of(secret: bytes) -> int:
    """The seed of a run's chance, from the key of its digests: so each of its processes draws the same."""
    return int.from_bytes(blake2b(b"maniple seed", key=secret, digest_size=7).digest(), "big")


def write(record: Record, needs: int, key: bytes, before: bytes) -> tuple[bytes, bytes]:
    """A record's bytes, and its check, which the next one takes as `before`; that of the first is empty."""
    content = _encode((needs, record))
    check = _check(key, before, content)
    return _LENGTH.pack(len(content)) + check + content, check


def read(take: Callable[[int], bytes], key: bytes, at: int = 0, before: bytes = b"") -> Iterator[Placed]:
    """The records of a tape, in order. take: as a file's read(). Raises TapeDamaged at the first that is not as written.

    at: where the first of them begins; before: the check of the one in front of it.
    """
    while head := take(HEAD):
        length = length_of(head) if len(head) == HEAD else 0
        content = take(length) if 0 < length <= RECORD_MOST else b""
        if not content or len(content) < length:
            raise TapeDamaged(at, "it breaks off")
        check = head[_LENGTH.size :]
        if check != _check(key, before, content):
            raise TapeDamaged(at, "this is not what was written")
        needs, record = opened(content, at)
        at, before = at + HEAD + length, check
        yield Placed(record=record, needs=needs, end=at, check=check)


def began(records: Iterator[Placed]) -> Began:
    """What a tape's run was begun with. Raises TapeDamaged when that cannot be told."""
    first = next(records, None)
    if first is None or not isinstance(first.record, Began):
        raise TapeDamaged(0, "it does not tell what its run was begun with")
    return first.record


def length_of(head: bytes) -> int:
    """How many bytes the record behind this head has."""
    length: int = _LENGTH.unpack_from(head)[0]
    return length


def opened(content: bytes, at: int) -> tuple[int, Record]:
    """A record's needs and itself, from its bytes, which stand at `at`. Raises TapeDamaged; no check is looked at."""
    try:
        return _decode(content)
    except READ_ERRORS as error:
        raise TapeDamaged(at, f"no record of this version: {error}") from None


def ends_done(take: Callable[[int], bytes], seek: Callable[[int], int]) -> bool:
    """Whether the last record, which is not checked, says that the work ended in `done`. take, seek: as a file's."""
    at = length = 0
    while len(head := take(HEAD)) == HEAD:
        at, length = at + length + HEAD, length_of(head)
        seek(at + length)
    seek(at)
    try:
        _, record = opened(take(length), at)
        return isinstance(record, Ended) and isinstance(codec.decode_from_kernel(record.header), headers.Done)
    except (TapeDamaged, CodecError):
        return False


def _check(key: bytes, before: bytes, content: bytes) -> bytes:
    check = _keyed(key).copy()
    check.update(before + content)
    return check.digest()


@lru_cache(maxsize=4096)
def _keyed(key: bytes) -> blake2b:
    """The hash with the key taken in, begun once for each key."""
    return blake2b(key=key, digest_size=CHECK)
