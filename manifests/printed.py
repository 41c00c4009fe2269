"""The record that replaces discarded output of a Hand (pure): it says how many bytes are gone.

It has the form of a run's own records, so `maniple logs` shows it like any other. It is the first line of a file of output,
and the next one adds to its count. Only kernel/process/trimming.py writes it.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from wire.canonical import READ_ERRORS

FILE_MAX: Final = 8 * 1024 * 1024
"""The most bytes of a file of output; the kernel discards the excess when it checks."""

GONE: Final = "what was printed before this is gone"

LONGEST: Final = 256
"""The most bytes of the record."""


def most_kept(file_size: int) -> int:
    """Return the most bytes of a Hand's file of output. file_size: its limit of a file; half of that is for the next run."""
    return min(FILE_MAX, file_size // 2)


class _Gone(Struct, frozen=True):
    level: str
    event: str
    bytes: Annotated[int, Meta(ge=0, le=2**53)]


def first_line(first: bytes, size: int, more: int) -> bytes:
    """Return the first line of the next file. first, size: the first line and the bytes of the file that is discarded; more:
    bytes that are discarded without having been in it.
    """
    return msgspec.json.encode(_Gone("warning", GONE, size + bytes_gone(first) + more)) + b"\n"


def bytes_gone(first: bytes) -> int:
    """Return how many bytes of output a file lacks, given its first line: those gone, less the record itself."""
    try:
        told = msgspec.json.decode(first, type=_Gone)
    except READ_ERRORS:
        return 0  # it is the Hand's own, or damaged
    return told.bytes - len(first) if told.event == GONE else 0
