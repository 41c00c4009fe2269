"""Finds out whether this process has the machine's root's capabilities (acts); a container's root has fewer."""

import os
from pathlib import Path
from typing import Final

_NEEDED: Final = (2, 19, 21, 22, 23, 25, 34)
"""DAC_READ_SEARCH, SYS_PTRACE, SYS_ADMIN, SYS_BOOT, SYS_NICE, SYS_TIME, SYSLOG of capabilities(7): tests inspect runs with
them, and attacks need them to succeed where a layer is removed."""


def _has_needed() -> bool:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff:")]
    return all(int(line.split()[1], 16) >> number & 1 for number in _NEEDED)


IS_WHOLE_ROOT: Final = os.geteuid() == 0 and _has_needed()
