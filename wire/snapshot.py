"""A signed snapshot of the kernel's state at one entry of the log, so that a start need not read the whole log (pure).

The file `snapshot` holds a signature in the namespace of that name, followed by a Snapshot in msgpack. It counts only if
the log's entry at that size names the digest of its state (kernel/record/recovery.py).
"""

import msgspec
from msgspec import Struct

from wire.canonical import READ_ERRORS
from wire.entries import NO_PREV
from wire.errors import CodecError
from wire.signing import SIGNATURE_SIZE, SigningKey, VerifyKey, sign, verify


class Snapshot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state after `size` entries; prev and frontier for Chain; segment and offset: the place of entry `size`."""

    origin: str
    size: int
    prev: str = NO_PREV
    frontier: list[str] = []
    state: bytes | None = None
    segment: int = 0
    offset: int = 0


def seal_snapshot(snapshot: Snapshot, key: SigningKey) -> bytes:
    """Sign a snapshot. Returns the content of the file `snapshot`."""
    content = msgspec.msgpack.encode(snapshot)
    return sign("snapshot", key, content) + content


def open_snapshot(raw: bytes, key: VerifyKey) -> Snapshot:
    """Verify and decode the file's content. Raises SignatureInvalid, or CodecError if another version wrote it."""
    verify("snapshot", key, raw[SIGNATURE_SIZE:], raw[:SIGNATURE_SIZE])
    try:
        return msgspec.msgpack.decode(raw[SIGNATURE_SIZE:], type=Snapshot)
    except READ_ERRORS as error:
        raise CodecError(f"not a snapshot: {error}") from None
