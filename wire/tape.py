"""The tape of a task run (pure): its requests and the messages to it, in order, so that the run can be resumed and replayed.

A tape is a sequence of records: each a length, a check and the record in msgpack. The check is a keyed hash over the previous
check and this record, so a record that was changed, removed, moved or inserted is detected at its place. `needs` says how
many entries the log must have for a record to count: what a crash took from the log does not count on the tape either.

    Began, first   what the run was started with
    Asked          a call, publication or subscription, as the run sent it
    Heard          a message from the kernel to the run, in the order of sending
    Spent          what the run has used of its limits so far; the last one counts
    Ended, last    how its work ended

Written by kernel/record/journal.py; read there, by the kernel that resumes a run, and by `maniple replay`.
"""

import struct
from collections.abc import Callable, Generator, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from wire import codec, headers
from wire.amounts import Cost, Number
from wire.canonical import READ_ERRORS
from wire.errors import CodecError, TapeDamaged

CHECK: Final = 16
"""Bytes of a record's check."""

RECORD_MOST: Final = 2 * 1024 * 1024
"""Most bytes of a record: more than a header and a body together can have."""

ASKED_MOST: Final = 16 * 1024
"""Largest body of a request, in bytes, that is kept. Otherwise a run could fill the disk with calls that are all refused."""

_KINDS: Final = {headers.Call: "call", headers.Publish: "publish", headers.Subscribe: "subscribe"}
_LENGTH: Final = struct.Struct("<I")
HEAD: Final = _LENGTH.size + CHECK
"""Bytes before each record: its length and its check."""

HEADS: Final = 16
"""Records whose heads ends_done() reads in one step: some microseconds."""


class Began(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="began"):
    """What a run was started with.

    clock: the time on the run's clock until its first message, microseconds since 1970. inputs: the body of its work.
    settings: without the secret ones. work: the number of the call that is its work; asked: of the call that asked for the
    run; caller: who made that; chain: the principals it acts for, with their Hands' ids, innermost first; spawns: for each
    of them whether it began the run below it (older tapes do not say). deadline: milliseconds that its work may take.
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
    spawns: tuple[bool, ...] = ()
    asked: Number = 0
    parent: Number = 0
    spawner: str = ""
    labels: tuple[str, ...] = ()
    most: Cost | None = None
    deadline: Number = 0


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, tag="asked"):
    """A request of the run. number: the run's own; kind: `call`, `publish` or `subscribe`; on: the method or event.

    digest: BLAKE2b of its body. body: kept up to ASKED_MOST bytes, for people; resuming does not need it.
    """

    number: Number
    kind: str
    on: str
    resource: str = ""
    digest: bytes
    body: bytes | None = None


def asked(number: int, kind: str, on: str, resource: str = "", body: bytes = b"") -> Asked:
    """Make the record of a request."""
    digest = blake2b(body, digest_size=16).digest()
    return Asked(number=number, kind=kind, on=on, resource=resource, digest=digest, body=body_to_keep(body))


def request_record(header: headers.Request, body: bytes) -> Asked:
    """Make the record of a request from its header."""
    on, resource = (header.method, header.resource) if isinstance(header, headers.Call) else (header.event, "")
    return asked(header.number, _KINDS[type(header)], on, resource, body)


def body_to_keep(body: bytes) -> bytes | None:
    """Return a request's body as the tape keeps it: None if it is too large."""
    return body if len(body) <= ASKED_MOST else None


class Heard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, tag="heard"):
    """A message to the run: its encoded header, and its body. secret: the body held secrets, which were removed."""

    header: bytes
    body: bytes = b""
    secret: bool = False


def message_record(header: bytes, body: bytes, secret: bool) -> Heard:
    """Make the record of a message."""
    return Heard(header=header, body=body, secret=secret)


class Spilled:
    """A message whose body leaves memory as soon as it is on the tape, and is read from there when it is sent.

    Calling it returns the record. at: the record's offset on the tape; before: the check of the record in front of it; body:
    None once it is on the tape.
    """

    __slots__ = ("at", "before", "body", "raw")

    def __init__(self, raw: bytes, body: bytes) -> None:
        self.raw = raw
        self.body: bytes | None = body
        self.at, self.before = 0, b""

    def __call__(self) -> Heard:
        return Heard(header=self.raw, body=self.body or b"")

    def read(self, take: Callable[[int], bytes], key: bytes) -> bytes:
        """Read the body from the tape. take: as a file's read(), from `at` on. Raises TapeDamaged."""
        for placed in read(take, key, self.at, self.before):
            if isinstance(placed.record, Heard):
                return placed.record.body
            break
        raise TapeDamaged(self.at, "this is not what was written")


class Ended(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ended"):
    """The end of a run's work: its header and body, and the labels of all that the run had seen.

    instead: the run that replaced it, whose end whoever waits for this one gets; "" for none.
    """

    header: bytes
    body: bytes = b""
    labels: tuple[str, ...] = ()
    instead: str = ""


class Spent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="spent"):
    """What a run has used of its limits. wall: milliseconds, without pauses; cpu: microseconds of all its processes."""

    wall: Number = 0
    cpu: Number = 0


Record: TypeAlias = Began | Asked | Heard | Spent | Ended


class Placed(Struct, frozen=True, kw_only=True, gc=False):
    """A record as read from a tape. needs: entries the log must have; end: offset of the record's end; check: its check."""

    record: Record
    needs: int
    end: int
    check: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[int, Record]).decode


def key_of(secret: bytes) -> bytes:
    """Derive the key of a tape's checks from the key of the run's digests."""
    return blake2b(b"maniple tape", key=secret, digest_size=32).digest()


def seed_of(secret: bytes) -> int:
    """Derive the seed of a run's random numbers from the key of its digests: the same for each of its processes."""
    return int.from_bytes(blake2b(b"maniple seed", key=secret, digest_size=7).digest(), "big")


def write(record: Record, needs: int, key: bytes, before: bytes) -> tuple[bytes, bytes]:
    """Encode a record. Returns its bytes, and its check, which is `before` for the next one; for the first, that is empty."""
    content = _encode((needs, record))
    check = _check(key, before, content)
    return _LENGTH.pack(len(content)) + check + content, check


def read(take: Callable[[int], bytes], key: bytes, at: int = 0, before: bytes = b"") -> Iterator[Placed]:
    """Read a tape's records, in order. take: as a file's read(). Raises TapeDamaged at the first that is not as written.

    at: the offset of the first record; before: the check of the record in front of it.
    """
    while head := take(HEAD):
        length = length_of(head) if len(head) == HEAD else 0
        content = take(length) if 0 < length <= RECORD_MOST else b""
        if not content or len(content) < length:
            raise TapeDamaged(at, "it breaks off")
        check = head[_LENGTH.size :]
        if check != _check(key, before, content):
            raise TapeDamaged(at, "this is not what was written")
        needs, record = decode_record(content, at)
        at, before = at + HEAD + length, check
        yield Placed(record=record, needs=needs, end=at, check=check)


def began(records: Iterator[Placed]) -> Began:
    """Return the first record of a tape. Raises TapeDamaged if it is not a Began."""
    first = next(records, None)
    if first is None or not isinstance(first.record, Began):
        raise TapeDamaged(0, "it does not say what its run was started with")
    return first.record


def length_of(head: bytes) -> int:
    """Return the length, in bytes, of the record behind this head."""
    length: int = _LENGTH.unpack_from(head)[0]
    return length


def decode_record(content: bytes, at: int) -> tuple[int, Record]:
    """Decode a record, and its `needs`, without verifying its check. at: its offset. Raises TapeDamaged."""
    try:
        return _decode(content)
    except READ_ERRORS as error:
        raise TapeDamaged(at, f"not a record of this version: {error}") from None


def ends_done(take: Callable[[int], bytes], seek: Callable[[int], int]) -> Generator[None, None, bool]:
    """Return whether the last record, which is not verified, says that the work ended in Done; in steps of HEADS records.

    take, seek: as a file's.
    """
    at = length = count = 0
    while len(head := take(HEAD)) == HEAD:
        at, length, count = at + length + HEAD, length_of(head), count + 1
        seek(at + length)
        if count % HEADS == 0:
            yield
    seek(at)
    try:
        _, record = decode_record(take(min(length, RECORD_MOST)), at)
        return isinstance(record, Ended) and isinstance(codec.decode_from_kernel(record.header), headers.Done)
    except (TapeDamaged, CodecError):
        return False


def _check(key: bytes, before: bytes, content: bytes) -> bytes:
    check = _keyed(key).copy()
    check.update(before + content)
    return check.digest()


@lru_cache(maxsize=4096)
def _keyed(key: bytes) -> blake2b:
    """Return the hash with the key absorbed, cached per key."""
    return blake2b(key=key, digest_size=CHECK)
