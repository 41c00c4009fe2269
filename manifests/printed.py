"""What is said of the output of a Hand that is no longer kept (pure): how much it was, in a record where it was.

It is a record as runs write them, so `maniple logs` shows it as it shows any other; and the first line of what is kept, from
which the next one goes on counting. Only kernel/output.py writes it.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

FILE_MAX: Final = 8 * 1024 * 1024
"""Bytes of a file of output that are kept; more of it than that goes when the kernel looks."""

GONE: Final = "what was printed before this is gone"

LONGEST: Final = 256
"""Bytes of such a line, at most."""


class _Gone(Struct, frozen=True):
    level: str
    event: str
    bytes: Annotated[int, Meta(ge=0, le=2**53)]


def gone(first: bytes, size: int, more: int) -> bytes:
    """The first line of what is kept from now on. first, size: the first line, and bytes in all, of what was kept until now
    and goes; more: bytes that go and were never kept.
    """
    return msgspec.json.encode(_Gone("warning", GONE, size + beyond(first) + more)) + b"\n"


def beyond(first: bytes) -> int:
    """By how much there was more in all than the bytes of what is kept, if this is its first line."""
    try:
        told = msgspec.json.decode(first, type=_Gone)
    except msgspec.DecodeError:
        return 0  # it is the Hand's own
    return told.bytes - len(first) if told.event == GONE else 0
