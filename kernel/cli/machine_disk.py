"""Finds out whether a home's disk, and this machine's clock, are fit for a log (acts)."""

import ctypes
import os
import time
from collections.abc import Iterator
from typing import Final

from kernel.cli.findings import Finding

_FALLOC_FL_KEEP_SIZE: Final = 1
_EARLIEST_S: Final = 1_767_225_600  # 2026-01-01: a clock before that is wrong


def inspect(home: str) -> Iterator[Finding]:
    """Check the disk that a home is on, or will be, and the clock."""
    folder = _nearest_folder(home)
    free = os.statvfs(folder)
    room = free.f_bavail * free.f_frsize
    yield Finding(
        what="disk space",
        state="ok" if room > 256 << 20 else "weak" if room > 32 << 20 else "missing",
        found=f"{room >> 20} MiB free at {folder}",
        needed=True,
        why="the log keeps 16 MiB in reserve, and stops effects when it cannot grow",
        mend="make room, or put the home on another disk with --home",
    )
    reserve = _reserve_failure(folder)
    yield Finding(
        what="fallocate",
        state="ok" if not reserve else "weak",
        found=reserve or f"works at {folder}",
        needed=False,
        why="reserves space for the log, so that refusals and reads are recorded even on a full disk",
        mend="put the home on ext4, xfs, btrfs or tmpfs",
    )
    now = time.time()
    yield Finding(
        what="clock",
        state="ok" if now > _EARLIEST_S else "weak",
        found=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)),
        needed=False,
        why="the log's times and the expiry of keys depend on it",
        mend="set it, for instance by `timedatectl set-ntp true`",
    )


def _nearest_folder(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "/"
    return path


def _reserve_failure(folder: str) -> str:
    """Why fallocate cannot reserve space beyond a file's end in this folder; "" if it can."""
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            call = ctypes.CDLL(None, use_errno=True).fallocate
            call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
            return "" if call(file.fileno(), _FALLOC_FL_KEEP_SIZE, 0, 4096) == 0 else os.strerror(ctypes.get_errno())
    except OSError as error:
        return f"cannot be tried: {error.strerror}"
