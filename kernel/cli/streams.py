"""Files that a command streams into and out of (acts): a file that is whole or as it was before, stdin, stdout."""

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

Take = Callable[[bytes], None]


@contextmanager
def target(file: str | None) -> Iterator[Take]:
    """What takes each piece: stdout, or a new file, which has its name only when all of it is on the disk.

    Whoever gives - means a pipe, and would find a file of that name instead.
    """
    if file is None:
        yield to_stdout()
        return
    if file == "-":
        raise Ended("no new file is called -, which is a pipe elsewhere: name another place, or ./-", Exit.USAGE)
    if os.path.lexists(file):
        raise named_files.taken(file)
    with _draft(file, 0o600, os.link) as take:
        yield take


@contextmanager
def output(file: str) -> Iterator[Take]:
    """What takes each piece into a file, new or not, which is as it was until all of it has come.

    What is no file, such as a pipe, takes them as they come.
    """
    if os.path.exists(file) and not os.path.isfile(file):
        with named_files.taking(file) as opened:
            yield lambda piece: _write(opened, piece)
        return
    with _draft(os.path.realpath(file), 0o666, os.replace) as take:
        yield take


@contextmanager
def _draft(file: str, mode: int, finish: Callable[[str, str], None]) -> Iterator[Take]:
    """What takes each piece into a file beside that one, which `finish` gives its name. mode: of a new file."""
    draft = f"{file}.part"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise Ended(
            f"{draft} is there already: another command may be writing {file}; if none is, `rm {shlex.quote(draft)}`"
        ) from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, file) from None  # of what was named: nobody knows the draft
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
    """A file to be sent, or stdin for `-`."""
    if file == "-":
        yield standard_input.stream()
        return
    with named_files.opened(file) as opened:
        yield opened


def _write(opened: BinaryIO, piece: bytes) -> None:
    opened.write(piece)


def to_stdout() -> Take:
    """What takes each piece as it is; on a terminal as text that cannot act on it, whose characters may be cut by pieces."""
    if screen.is_terminal(sys.stdout):
        text = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        return lambda piece: write(text.decode(piece))
    return _to_pipe


def _to_pipe(piece: bytes) -> None:
    if sys.stdout is None:  # closed, by `>&-`: nobody wants it, as of any result
        return
    note_printed()
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
