"""Where Hands write what they print (acts): stdout and stderr of a run are its Hand's file, which the kernel never reads.

    output/NAME.log, and NAME.log.1 before it: what `maniple logs NAME` shows, beginning with how much came before that

The runs append to it themselves, so however much a Hand prints costs the kernel nothing; RLIMIT_FSIZE bounds what one can
add, and trim() keeps the file short while a service lives for months, and so short that the next run can print, too.
"""

import os
from contextlib import suppress

from kernel.home import Home
from manifests.printed import FILE_MAX, LONGEST, gone


def opened(home: Home, hand: str, access: int = os.O_WRONLY | os.O_APPEND, *, end: str = "log") -> int:
    """A descriptor for a run's output, appended to what its Hand has printed before; a run cannot read it. Raises OSError."""
    return os.open(home.at("output", f"{hand}.{end}"), os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | access, 0o600)


def trim(home: Home, hand: str, file_size: int) -> None:
    """Move what is in a file that has grown beyond FILE_MAX aside; runs that have it open go on at its beginning.

    file_size: bytes that a run may write into a file; half of them are left to it. What cannot be opened stays as it is.
    """
    most = min(FILE_MAX, file_size // 2)
    with suppress(OSError), open(opened(home, hand, os.O_RDWR), "rb", 0) as file:
        if (size := os.fstat(file.fileno()).st_size) > most:
            with suppress(OSError), open(opened(home, hand, os.O_RDWR, end="log.1"), "r+b", 0) as aside:
                # where there is no room to keep it, what matters is that it does not grow
                told = gone(aside.readline(LONGEST), os.fstat(aside.fileno()).st_size, size - most)
                aside.truncate(0)
                os.copy_file_range(file.fileno(), aside.fileno(), most, size - most, os.pwrite(aside.fileno(), told, 0))
            os.ftruncate(file.fileno(), 0)
