"""Unpacks gzip and deflate piece by piece, at most PIECE bytes at once (pure: bytes in, bytes out).

A few kilobytes can unpack to gigabytes, so no piece is larger than PIECE, and the caller counts and stops. Sources: RFC
1952 (gzip, also several members in a row), RFC 9110 §8.4.1 (deflate means zlib's format; some servers send the raw one of
RFC 1951, and both are read).
"""

import zlib
from collections.abc import Iterator
from typing import Final

from web_failure import WebFailed

PIECE: Final = 256 * 1024
MEMBERS_MOST: Final = 1000
"""Gzip members of one body: zlib copies all remaining bytes at the start of each."""

CODINGS: Final = ("gzip", "x-gzip", "deflate")
_GZIP: Final = 16 + zlib.MAX_WBITS


def _zlib_or_raw(packed: bytes) -> "zlib._Decompress":
    """A decompressor for zlib's format or the raw one, told apart by the first two bytes (RFC 1950 §2.2)."""
    wrapped = packed[0] & 0x0F == 8 and int.from_bytes(packed[:2], "big") % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


class Inflate:
    """Unpacks one body. coding: one of CODINGS."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        self._head = b""
        self._empty, self._members = True, 1
        self._stream = zlib.decompressobj(_GZIP) if self._gzip else None

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """Unpacks bytes into pieces. Raises WebFailed for bytes that are not in the coding."""
        self._empty = self._empty and not packed
        if self._stream is None:
            packed, self._head = self._head + packed, self._head + packed
            if len(packed) < 2:
                return
            self._stream = _zlib_or_raw(packed)
            self._head = b""
        while self._has_more(packed):
            assert self._stream is not None  # set above
            try:
                piece = self._stream.decompress(packed, PIECE)
            except zlib.error as error:
                raise WebFailed("bad reply", f"The body is not packed as its headers say: {error}.") from None
            packed = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if piece:
                yield piece
            if not packed and len(piece) < PIECE:
                return

    def _has_more(self, packed: bytes) -> bool:
        """Whether to go on unpacking; False after the last member, since the rest is padding. Starts a new gzip member.

        Raises WebFailed for too many members.
        """
        if self._stream is None or not self._stream.eof:
            return True
        if self._gzip and packed.startswith(b"\x1f"):
            self._members += 1
            if self._members > MEMBERS_MOST:
                raise WebFailed("bad reply", f"The packed body has more than {MEMBERS_MOST} parts.")
            self._stream = zlib.decompressobj(_GZIP)
            return True
        return False

    def end(self) -> None:
        """Raises WebFailed if the body is incomplete. An empty body is complete."""
        if not self._empty and (self._stream is None or not self._stream.eof):
            raise WebFailed("broken off", "The packed body ends in the middle.")
