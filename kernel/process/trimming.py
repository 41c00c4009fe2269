"""Trims what Hands printed (acts), in a child of the template.

Not in the kernel, since a hostile Hand decides how long it takes: it may have left its file in ten thousand pieces, which
ext4 took 1 to 19 seconds to free here.
"""

import fcntl
import os
from contextlib import suppress

from manifests.printed import LONGEST, first_line


def trim(most: int, output: int, *asides: int) -> None:
    """Move the end of a file of output that has more than `most` bytes aside, and empty it. Runs that have it open go on.

    asides: NAME.log.1, if it can be opened. On a full disk nothing is kept. Raises OSError.
    """
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
