"""What Hands print (acts): stdout and stderr of a Hand's runs go to its own file, which the kernel never reads.

    output/NAME.log, and NAME.log.1 before it: what `maniple logs NAME` shows, beginning with how much came before that

Runs append to the file themselves, so printing costs the kernel nothing. RLIMIT_FSIZE bounds what a run can add; trim()
keeps the file short while a service runs for months, and leaves the next run room to print.
"""

import os
from contextlib import suppress

from kernel.home import Home
from manifests.printed import FILE_MAX, LONGEST, first_line


def open_output(home: Home, hand: str, access: int = os.O_WRONLY | os.O_APPEND, *, end: str = "log") -> int:
    """Open the file of a Hand's output, by default for a run: to append only. Returns a descriptor. Raises OSError.

    A run of an ordinary user's has his id, and may have closed the file even to him.
    """
    with suppress(FileNotFoundError):
        os.chmod(home.at("output", f"{hand}.{end}"), 0o600)
    return os.open(home.at("output", f"{hand}.{end}"), os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | access, 0o600)


def trim(home: Home, hand: str, file_size: int) -> None:
    """Move the end of an output file that has grown too long to NAME.log.1, and empty it. Runs that have it open go on.

    Too long: more than FILE_MAX, or than half of `file_size`, the bytes that a run may write into a file. A file that
    cannot be opened is left as it is.
    """
    most = min(FILE_MAX, file_size // 2)
    with suppress(OSError), open(open_output(home, hand, os.O_RDWR), "rb", 0) as file:
        if (size := os.fstat(file.fileno()).st_size) > most:
            with suppress(OSError), open(open_output(home, hand, os.O_RDWR, end="log.1"), "r+b", 0) as aside:
                # on a full disk the copy fails, and the file is emptied nevertheless
                heading = first_line(aside.readline(LONGEST), os.fstat(aside.fileno()).st_size, size - most)
                aside.truncate(0)
                start = os.pwrite(aside.fileno(), heading, 0)
                os.copy_file_range(file.fileno(), aside.fileno(), most, size - most, start)
            os.ftruncate(file.fileno(), 0)
