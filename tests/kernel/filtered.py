"""Runs a piece of work in a child of its own, under the filter or without it, and tells how it went (acts).

A filter cannot be taken off, so whoever tries one tries it in a process that ends afterwards.
"""

import ctypes
import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from kernel.process import confine, seccomp
from manifests.confinement.allowed import Profile
from manifests.confinement.program import build
from manifests.confinement.syscalls import ARCHITECTURES

MACHINE: Final = os.uname().machine
HERE: Final = ARCHITECTURES[MACHINE]
NONE: Final[frozenset[Profile]] = frozenset()
EVERYTHING: Final = frozenset(Profile)

CANNOT_BE_TOLD: Final = pytest.mark.skipif(
    not seccomp.available() or "Seccomp:\t0" not in Path("/proc/self/status").read_text(),
    reason="this machine lays on no filter, or has laid one on already (a container's): ours could not be told from it",
)

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def call(name: str | int, *arguments: int | bytes) -> int:
    """Make a system call by its name, or its number, past everything that a library would do. OSError as it ends."""
    number = name if isinstance(name, int) else HERE.numbers[name]
    whole = [ctypes.c_long(one) if isinstance(one, int) else ctypes.c_char_p(one) for one in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *whole))
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def lay_on(profiles: frozenset[Profile]) -> None:
    """What a run does: no_new_privs, then the filter."""
    confine.control(confine.NO_NEW_PRIVILEGES)
    seccomp.lay_on(build(MACHINE, profiles))


def outcome(work: Callable[[], object], profiles: frozenset[Profile] | None) -> str:
    """`done`, or the name of the error number that the work raised, or of the signal that ended the child.

    profiles: what the filter is built with; None for no filter. Any other exception is told as it is.
    """
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        said = "done"
        try:
            if profiles is not None:
                lay_on(profiles)
            work()
        except OSError as error:
            said = errno.errorcode.get(error.errno or 0, str(error))
        except BaseException as error:  # noqa: BLE001 - the parent's test shows it
            said = repr(error)
        os.write(tell, said.encode())
        os._exit(0)
    os.close(tell)
    with open(told, "rb") as end:
        said = end.read().decode()
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else said
