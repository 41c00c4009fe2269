"""What every command needs of this machine before it begins: descriptors, threads, memory (acts).

Separate from main.py, which tells whatever happens. libzmq ends the whole process when it gets none of these, so what a link
takes is looked for before there is one.
"""

import errno
import os
import sys
import threading
from typing import Final

from kernel.cli.exits import Ended

DESCRIPTORS: Final = 24
"""Files that a command may have open beside those it began with: what it needs at most."""

_PLENTY: Final = 1_024

THREADS: Final = 2
"""What libzmq begins for a link."""

_MENDS: Final = {
    errno.EMFILE: "raise `ulimit -n`, then type the same again",
    errno.ENFILE: "the whole machine has no more: end something that has many open, then type the same again",
    errno.ENOMEM: "end something, or raise `ulimit -v`, then type the same again",
    errno.EAGAIN: "end some processes of this user, or raise `ulimit -u`, then type the same again",
}
_NO_MEMORY: Final = ("failed to map segment", "cannot allocate memory", "cannot apply additional memory protection")


def for_files() -> None:
    """Let this process open as many files as a command needs. Raises Ended where it may not."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _PLENTY or sys.platform != "linux":
        return
    wanted = len(os.listdir("/proc/self/fd")) + DESCRIPTORS
    if soft < wanted and hard != resource.RLIM_INFINITY and hard < wanted:
        raise Ended(f"{hard} files may be open at a time here, and a command needs {wanted}: {_MENDS[errno.EMFILE]}")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def for_threads() -> None:
    """Raises Ended where no more threads can be begun, which count as processes and take memory."""
    over = threading.Event()
    begun = [threading.Thread(target=over.wait, daemon=True) for _ in range(THREADS)]
    try:
        for one in begun:
            one.start()
    except RuntimeError:
        raise Ended(
            "there is no room for one more process or thread: end some of this user, or raise `ulimit -u` and `ulimit -v`, "
            "then type the same again"
        ) from None
    finally:
        over.set()
        for one in begun:
            if one.ident is not None:
                one.join()


def lacks(error: Exception) -> str:
    """What an error says that something of these is used up, in a sentence; "" for any other."""
    if isinstance(error, ImportError) and any(words in str(error).lower() for words in _NO_MEMORY):
        return "there is not enough memory for that"
    if isinstance(error, RuntimeError) and "new thread" in str(error):
        return f"there is no room for one more thread: {_MENDS[errno.EAGAIN]}"
    number = getattr(error, "errno", None)
    if number == errno.EAGAIN and (not isinstance(error, OSError) or error.strerror != os.strerror(number)):
        return ""  # of a pipe or a link, which takes nothing just now
    return f"{os.strerror(number).lower()}: {_MENDS[number]}" if number in _MENDS else ""
