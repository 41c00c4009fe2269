"""Finds out how this machine's libffi lets C call Python functions (acts)."""

import ctypes
import os
from contextlib import suppress


def makes_code() -> bool:
    """Whether it writes machine code for each callback. From 3.5 on it maps code out of its own file, which it keeps open."""
    ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 3)
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            if "libffi" in os.readlink(f"/proc/self/fd/{number}"):
                return False
    return True
