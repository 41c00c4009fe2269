"""Files that somebody named on a command line (acts): opened without waiting for others.

A named pipe is opened at once, also when nobody writes into it; then it is empty. One that somebody writes into, such as
a shell's `<(COMMAND)`, is read to its end like a file.
"""

import os
import stat
from io import BufferedReader

from kernel.cli.exits import Ended, Exit


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
