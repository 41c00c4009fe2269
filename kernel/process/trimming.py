"""Trims what Hands printed (acts), in a child of the template or in the process of the next run.

Not in the kernel, since a hostile Hand decides how long it takes: it may have left its file in ten thousand pieces, which
ext4 took 1 to 19 seconds to free here.
"""

import fcntl
import os
from contextlib import suppress

from manifests.printed import LONGEST, first_line, most_kept


def trim(file_size: int, output: int, *asides: int) -> None:
    """Move the end of a file of output that is too long aside, and empty it. Runs that have it open go on.

    file_size: its limit, in bytes. asides: NAME.log.1, if it can be opened. On a full disk nothing is kept. Raises OSError.
    """
    most = most_kept(file_size)
    for aside in asides:
        fcntl.flock(aside, fcntl.LOCK_EX)  # against another child; no run has this file open
    if (size := os.fstat(output).st_size) <= most:
        return
    for aside in asides:
        with suppress(OSError), open(aside, "r+b", 0, closefd=False) as file:
            heading = first_line(file.readline(LONGEST), os.fstat(aside).st_size, size - most)
            file.truncate(0)
            os.copy_file_range(output, aside, most, size - most, os.pwrite(aside, heading, 0))
    os.ftruncate(output, 0)
