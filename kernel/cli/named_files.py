"""Opens files named on a command line, without blocking on named pipes (acts).

A named pipe is opened at once even if it has no writer, and then counts as empty. One with a writer, such as a shell's
`<(COMMAND)`, is read to its end like a file.
"""

import errno
import os
import shlex
import stat
from io import BufferedReader, BufferedWriter
from typing import Final

import click

from kernel.cli.exits import Ended, Exit

PATH: Final = click.Path(readable=False)
"""A path as typed, without click's checks, which would say only "not readable": the code that opens it says what is wrong."""


def hint(path: str, code: int) -> str:
    """What to type when a file or folder cannot be used. code: the errno. "" if there is no advice."""
    match code:
        case errno.ENOENT:
            return f"`ls {shlex.quote(_nearest_existing(os.path.dirname(path)))}` shows what is there"
        case errno.EACCES | errno.EPERM:
            return f"`ls -ld {shlex.quote(_nearest_existing(path))}` shows who may use it"
        case errno.EISDIR:
            return f"name a file in it: `ls {shlex.quote(path)}` shows what is there"
        case errno.ENOTDIR:
            return f"`ls -ld {shlex.quote(_nearest_existing(path))}` shows what is there instead"
        case errno.ENXIO:
            return "it is a socket, or a device that is not there: name a file"
        case _:
            return ""


def is_folder(path: str) -> bool:
    """Whether a path is a folder or a link to one. Raises OSError if this user may not find out."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def unreadable(path: str, error: OSError, code: Exit = Exit.USAGE, *, want: str = "") -> Ended:
    """The error for a file that cannot be read. want: what may be named instead."""
    why = "; ".join(filter(None, (error.strerror or str(error), want, hint(path, error.errno or 0))))
    return Ended(f"{path} cannot be read: {why}", code)


def already_exists(path: str) -> Ended:
    """The error for a path that must not exist yet, and does."""
    return Ended(f"{path} is there already: name another place; `ls -ld {shlex.quote(path)}` shows what it is")


def _nearest_existing(path: str) -> str:
    """The path if it exists, else its nearest existing parent."""
    while path and not os.path.lexists(path):
        path = os.path.dirname(path)
    return path or "."


def open_to_read(path: str) -> BufferedReader:
    """Open a file for reading. Raises OSError, and Ended for a device or a pipe that nobody writes into."""
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115 - the caller's
    try:
        kind = os.fstat(file.fileno()).st_mode
        if stat.S_ISBLK(kind) or (stat.S_ISCHR(kind) and not os.path.samefile(path, os.devnull)):
            raise Ended(f"{path} is a device: name a file", Exit.USAGE)
        os.set_blocking(file.fileno(), True)
        if stat.S_ISFIFO(kind) and not file.peek(1):
            raise Ended(f"{path} is a pipe that nobody writes into: name a file", Exit.USAGE)
    except BaseException:
        file.close()
        raise
    return file


def open_special(path: str) -> BufferedWriter:
    """Open a pipe, terminal or device for writing. Raises OSError, and Ended for a pipe that nobody reads."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(path).st_mode):
            raise Ended(f"{path} is a pipe that nobody reads: name a file", Exit.USAGE) from None
        raise
    os.set_blocking(descriptor, True)
    return open(descriptor, "wb")
