"""Checks before a command that descriptors, threads and memory suffice (acts), and recognises errors of lacking them.

libzmq aborts the whole process when it lacks one of these, so what a link needs is checked before it is made.
"""

import errno
import os
import sys
import threading
from typing import Final

from kernel.cli.exits import Ended

FILES_NEEDED: Final = 24
"""Most files that a command opens, beside those it began with."""

_FILES_ENOUGH: Final = 1_024

THREADS_NEEDED: Final = 2
"""Threads that libzmq starts for a link."""

_MENDS: Final = {
    errno.EMFILE: "raise `ulimit -n`, then type the same again",
    errno.ENFILE: "the whole machine has no more: end something that has many open, then type the same again",
    errno.ENOMEM: "end something, or raise `ulimit -v`, then type the same again",
    errno.EAGAIN: "end some processes of this user, or raise `ulimit -u`, then type the same again",
}
_NO_MEMORY: Final = ("failed to map segment", "cannot allocate memory", "cannot apply additional memory protection")


def raise_file_limit() -> None:
    """Raise this process's soft limit of open files to what a command needs. Raises Ended if the hard limit is lower."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _FILES_ENOUGH or sys.platform != "linux":
        return
    wanted = len(os.listdir("/proc/self/fd")) + FILES_NEEDED
    if soft < wanted and hard != resource.RLIM_INFINITY and hard < wanted:
        raise Ended(f"{hard} files may be open at a time here, and a command needs {wanted}: {_MENDS[errno.EMFILE]}")
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def check_threads() -> None:
    """Raise Ended if the threads of a link cannot be started: they count as processes and take memory."""
    done = threading.Event()
    threads = [threading.Thread(target=done.wait, daemon=True) for _ in range(THREADS_NEEDED)]
    try:
        for one in threads:
            one.start()
    except RuntimeError:
        raise Ended(
            "there is no room for one more process or thread: end some of this user, or raise `ulimit -u` and `ulimit -v`, "
            "then type the same again"
        ) from None
    finally:
        done.set()
        for one in threads:
            if one.ident is not None:
                one.join()


def exhausted(error: Exception) -> str:
    """A sentence for an error that means that descriptors, threads or memory are exhausted; "" for any other error."""
    if isinstance(error, ImportError) and any(words in str(error).lower() for words in _NO_MEMORY):
        return "there is not enough memory for that"
    if isinstance(error, RuntimeError) and "new thread" in str(error):
        return f"there is no room for one more thread: {_MENDS[errno.EAGAIN]}"
    number = getattr(error, "errno", None)
    if number == errno.EAGAIN and (not isinstance(error, OSError) or error.strerror != os.strerror(number)):
        return ""  # a pipe or a link that is full for the moment
    return f"{os.strerror(number).lower()}: {_MENDS[number]}" if number in _MENDS else ""
