"""Applies the filter of system calls to this process (acts on what manifests/confinement decides)."""

import ctypes
import os
from typing import Final

from kernel.process.confine import libc
from manifests.confinement.refused import Answer
from manifests.confinement.syscalls import ARCHITECTURES

_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_ALL_THREADS: Final = 1  # SECCOMP_FILTER_FLAG_TSYNC
_known: Final = ARCHITECTURES.get(os.uname().machine)
_NUMBER: Final = _known.numbers["seccomp"] if _known else -1  # no such call: ENOSYS


def _seccomp(operation: int, flags: int, argument: bytes) -> int:
    return int(libc.syscall(_NUMBER, operation, flags, argument))


def available() -> bool:
    """Whether this machine's processor and kernel (Linux 4.14) support the filters that are built for it."""
    return _seccomp(_GET_ACTION_AVAIL, 0, Answer.KILL.value.to_bytes(4, "little")) == 0


def lay_on(program: bytes) -> None:
    """Filter all threads of this process, present and future, for good. Needs no_new_privs. Raises OSError if that fails."""
    length, address = len(program) // 8, bytes(ctypes.c_char_p(program))
    failed = _seccomp(_SET_MODE_FILTER, _ALL_THREADS, length.to_bytes(8, "little") + address)
    if failed:  # -1, or the id of a thread that could not be synchronised
        number = ctypes.get_errno() if failed < 0 else 0
        raise OSError(number, f"seccomp: {os.strerror(number) if failed < 0 else f'thread {failed} cannot join'}")
