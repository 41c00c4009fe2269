"""Standard input as commands read it (acts): it may be closed, and what comes on it need not be text."""

import sys
from collections.abc import Iterator
from typing import BinaryIO, Final

from kernel.cli.exits import Ended, Exit

TEXT_MOST: Final = 16 * 1024 * 1024
"""Bytes of a text that are read; nothing that is sent to a Hand in one piece is so long."""


def stream() -> BinaryIO:
    """Its bytes. Raises Ended when it is closed."""
    if sys.stdin is None or sys.stdin.closed:
        raise Ended("standard input is closed: give it something to read, such as `<FILE`", Exit.USAGE)
    return sys.stdin.buffer


def text(what: str) -> str:
    """All of it. what: begins the error's sentence. Raises Ended for what is no text in UTF-8, or too long."""
    return _text(what, stream().read(TEXT_MOST + 1))


def lines(what: str) -> Iterator[str]:
    """A line at a time, to its end, without how it ends. Raises Ended for one that is no text in UTF-8, or too long."""
    while one := line(what):
        yield one.rstrip("\n")


def line(what: str) -> str:
    """The next line as it is, "" at the end. Raises Ended for what is no text in UTF-8, or too long."""
    return _text(what, stream().readline(TEXT_MOST + 1))


def _text(what: str, content: bytes) -> str:
    """Bytes from there as text, whichever system ended its lines."""
    if len(content) > TEXT_MOST:
        raise Ended(f"{what} on standard input is longer than {TEXT_MOST // 1024 // 1024} MiB", Exit.USAGE)
    try:
        return content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise Ended(f"{what} on standard input is not UTF-8 text: `iconv -t UTF-8` makes it one", Exit.USAGE) from None
