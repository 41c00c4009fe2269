"""Streams into and out of files, stdin and stdout (acts): a file is written completely, or stays as it was."""

import codecs
import os
import shlex
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from kernel.cli import named_files, screen, standard_input
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import note_printed, write
from kernel.record.growing import sync_folder

Write = Callable[[bytes], None]


@contextmanager
def create(file: str | None) -> Iterator[Write]:
    """Yield a function that writes pieces to stdout, or to a new file, which gets its name when it is complete on disk.

    Raises Ended for `-`: it means a pipe elsewhere, and must not become a file of that name.
    """
    if file is None:
        yield to_stdout()
        return
    if file == "-":
        raise Ended("no new file is called -, which is a pipe elsewhere: name another place, or ./-", Exit.USAGE)
    if os.path.lexists(file):
        raise named_files.already_exists(file)
    with _written_beside(file, 0o600, os.link) as write_piece:
        yield write_piece


@contextmanager
def replace(file: str) -> Iterator[Write]:
    """Yield a function that writes pieces to a file, new or not, which stays as it was until all pieces are written.

    A path that is not a plain file, such as a pipe, gets each piece at once.
    """
    if os.path.exists(file) and not os.path.isfile(file):
        with named_files.open_special(file) as opened:
            yield lambda piece: _write(opened, piece)
        return
    with _written_beside(os.path.realpath(file), 0o666, os.replace) as write_piece:
        yield write_piece


@contextmanager
def _written_beside(file: str, mode: int, finish: Callable[[str, str], None]) -> Iterator[Write]:
    """Yield a function that writes pieces to FILE.part; at the end finish(part, file) names it. mode: of a new file."""
    draft = f"{file}.part"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise Ended(
            f"{draft} is there already: another command may be writing {file}; if none is, `rm {shlex.quote(draft)}`"
        ) from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, file) from None  # name the file that the user typed
    try:
        with open(descriptor, "wb") as opened:
            if os.path.exists(file):
                os.fchmod(descriptor, stat.S_IMODE(os.stat(file).st_mode))
            yield lambda piece: _write(opened, piece)
            opened.flush()
            os.fsync(descriptor)
        finish(draft, file)
    finally:
        if os.path.lexists(draft):
            os.unlink(draft)
    sync_folder(os.path.dirname(os.path.abspath(file)))


@contextmanager
def source(file: str) -> Iterator[BinaryIO]:
    """Open a file to be sent; `-` is stdin."""
    if file == "-":
        yield standard_input.stream()
        return
    with named_files.open_to_read(file) as opened:
        yield opened


def _write(opened: BinaryIO, piece: bytes) -> None:
    opened.write(piece)


def to_stdout() -> Write:
    """A function that writes pieces to stdout: unchanged, or on a terminal as escaped text. A piece may split a character."""
    if screen.is_terminal(sys.stdout):
        text = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        return lambda piece: write(text.decode(piece))
    return _to_pipe


def _to_pipe(piece: bytes) -> None:
    if sys.stdout is None:  # closed by `>&-`
        return
    note_printed()
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
