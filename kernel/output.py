"""What Hands print (acts): stdout and stderr of a Hand's runs go to its own file, which the kernel never reads.

    output/NAME.log, and NAME.log.1 before it: what `maniple logs NAME` shows, beginning with how much came before that

Runs append to the file themselves, so printing costs the kernel nothing. RLIMIT_FSIZE bounds what a run can add. A file that
has grown too long is trimmed by a child of the template (kernel/process/trimming.py), so that it stays short while a service
runs for months, and by the process of the next run, before its Hand's code, so that it has room to print. The kernel only
opens it, which waits for nobody. A run of an ordinary user's has his id, and may have closed its file even to him: then the
kernel only finds it, and these processes open it again (`descriptors.reopened`).
"""

import os
import stat
from contextlib import suppress

from kernel.home import Home
from manifests.printed import most_kept


def open_output(home: Home, hand: str, access: int = os.O_WRONLY | os.O_APPEND, *, end: str = "log") -> int:
    """Open the file of a Hand's output, by default for a run: to append only; as O_PATH if a run has changed its mode, since
    to change it back may take seconds. Returns a descriptor. Raises OSError.
    """
    path = home.at("output", f"{hand}.{end}")
    with suppress(FileNotFoundError):
        if stat.S_IMODE(mode := os.lstat(path).st_mode) != 0o600 and stat.S_ISREG(mode):
            return os.open(path, os.O_PATH | os.O_NOFOLLOW)
    return os.open(path, os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | access, 0o600)


def open_longer(home: Home, hand: str, file_size: int) -> dict[str, int]:
    """Open the file of a Hand's output as `longer`, and NAME.log.1 as `aside`, if the first is too long. file_size: the
    Hand's limit, in bytes. Leaves out what cannot be opened.
    """
    files = dict[str, int]()
    with suppress(OSError):
        if os.stat(home.at("output", f"{hand}.log")).st_size > most_kept(file_size):
            for name, end in (("longer", "log"), ("aside", "log.1")):
                files[name] = open_output(home, hand, os.O_RDWR, end=end)
    return files
