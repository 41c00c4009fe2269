"""Whether this process has the rights of the machine's root (acts: asks the system). A container's root has fewer."""

import os
from pathlib import Path
from typing import Final

_WANTED: Final = (2, 19, 21, 22, 23, 25, 34)
"""DAC_READ_SEARCH, SYS_PTRACE, SYS_ADMIN, SYS_BOOT, SYS_NICE, SYS_TIME, SYSLOG of capabilities(7): what tests look into runs
with, and what attacks succeed by where a layer is taken away."""


def _has_them() -> bool:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff:")]
    return all(int(line.split()[1], 16) >> number & 1 for number in _WANTED)


IS_WHOLE_ROOT: Final = os.geteuid() == 0 and _has_them()
