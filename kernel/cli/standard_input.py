"""Reads standard input (acts), which may be closed, and may hold bytes that are not text."""

import sys
from collections.abc import Iterator
from typing import BinaryIO, Final

from kernel.cli.exits import Ended, Exit

TEXT_MAX: Final = 16 * 1024 * 1024
"""Most bytes of a text that are read; nothing sent to a Hand in one piece is longer."""


def stream() -> BinaryIO:
    """The byte stream of stdin. Raises Ended if it is closed."""
    if sys.stdin is None or sys.stdin.closed:
        raise Ended("standard input is closed: give it something to read, such as `<FILE`", Exit.USAGE)
    return sys.stdin.buffer


def read_text(what: str) -> str:
    """Read all of stdin as text. what: its name in errors. Raises Ended if it is not UTF-8, or too long."""
    return _text(what, stream().read(TEXT_MAX + 1))


def read_lines(what: str) -> Iterator[str]:
    """Yield the lines of stdin without their endings. Raises Ended if one is not UTF-8, or too long."""
    while next_line := read_line(what):
        yield next_line.rstrip("\n")


def read_line(what: str) -> str:
    """Read the next line with its ending; "" at the end. Raises Ended if it is not UTF-8, or too long."""
    return _text(what, stream().readline(TEXT_MAX + 1))


def _text(what: str, content: bytes) -> str:
    """Decode UTF-8, with CRLF as LF."""
    if len(content) > TEXT_MAX:
        raise Ended(f"{what} on standard input is longer than {TEXT_MAX // 1024 // 1024} MiB", Exit.USAGE)
    try:
        return content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise Ended(f"{what} on standard input is not UTF-8 text: `iconv -t UTF-8` makes it one", Exit.USAGE) from None
