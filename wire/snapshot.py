"""The kernel's state at one entry of the log, signed, so that a start need not read the whole log (pure).

A file `snapshot` is a signature in the namespace of that name, and a packed Snapshot. Whether it counts is decided by the
log: its own entry at that size must name the content's digest (kernel/record/recovery.py).
"""

import msgspec
from msgspec import Struct

from wire.canonical import READ_ERRORS
from wire.entries import NO_PREV
from wire.errors import CodecError
from wire.signing import SIGNATURE_SIZE, SigningKey, VerifyKey, sign, verify


class Snapshot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state after size entries, prev and frontier as Chain wants them, and where entry size stands."""

    origin: str
    size: int
    prev: str = NO_PREV
    frontier: list[str] = []
    state: bytes | None = None
    segment: int = 0
    offset: int = 0


def sealed(snapshot: Snapshot, key: SigningKey) -> bytes:
    """The content of the file `snapshot`."""
    content = msgspec.msgpack.encode(snapshot)
    return sign("snapshot", key, content) + content


def opened(raw: bytes, key: VerifyKey) -> Snapshot:
    """The snapshot of a file's content. Raises SignatureInvalid, or CodecError when it is another version's."""
    verify("snapshot", key, raw[SIGNATURE_SIZE:], raw[:SIGNATURE_SIZE])
    try:
        return msgspec.msgpack.decode(raw[SIGNATURE_SIZE:], type=Snapshot)
    except READ_ERRORS as error:
        raise CodecError(f"not a snapshot: {error}") from None
