"""Files that somebody named on a command line (acts): opened without waiting for others.

A named pipe is opened at once, also when nobody writes into it; then it is empty. One that somebody writes into, such as
a shell's `<(COMMAND)`, is read to its end like a file.
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
"""A path as it was typed. What is wrong with it, whoever opens it says: click would say that it is "not readable"."""


def mend(path: str, code: int) -> str:
    """What to type where a file or folder that was named cannot be used; "" where there is nothing more to say."""
    match code:
        case errno.ENOENT:
            return f"`ls {shlex.quote(_there(os.path.dirname(path)))}` shows what is there"
        case errno.EACCES | errno.EPERM:
            return f"`ls -ld {shlex.quote(_there(path))}` shows who may use it"
        case errno.EISDIR:
            return f"name a file in it: `ls {shlex.quote(path)}` shows what is there"
        case errno.ENOTDIR:
            return f"`ls -ld {shlex.quote(_there(path))}` shows what is there instead"
        case errno.ENXIO:
            return "it is a socket, or a device that is not there: name a file"
        case _:
            return ""


def is_folder(path: str) -> bool:
    """Whether there is a folder at a path, or a link to one. Raises OSError where this user may not see that."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def unreadable(path: str, error: OSError, code: Exit = Exit.USAGE, *, want: str = "") -> Ended:
    """What to raise for it. want: what may be named instead."""
    why = "; ".join(filter(None, (error.strerror or str(error), want, mend(path, error.errno or 0))))
    return Ended(f"{path} cannot be read: {why}", code)


def taken(path: str) -> Ended:
    """What to raise where something new was to be made and there is something already."""
    return Ended(f"{path} is there already: name another place; `ls -ld {shlex.quote(path)}` shows what it is")


def _there(path: str) -> str:
    """The path, or the nearest folder above it that there is, as far as that can be seen."""
    while path and not os.path.lexists(path):
        path = os.path.dirname(path)
    return path or "."


def opened(path: str) -> BufferedReader:
    """A file to be read. Raises OSError, and Ended for a device and for a pipe that nobody writes into."""
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


def taking(path: str) -> BufferedWriter:
    """What is no file, such as a pipe or a terminal, to be written. Raises OSError, and Ended for a pipe nobody reads."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(path).st_mode):
            raise Ended(f"{path} is a pipe that nobody reads: name a file", Exit.USAGE) from None
        raise
    os.set_blocking(descriptor, True)
    return open(descriptor, "wb")
