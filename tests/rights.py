"""Whether this process has the rights of the machine's root (acts: asks the system). A container's root has fewer."""

import os
from pathlib import Path
from typing import Final

_SYS_ADMIN: Final = 1 << 21  # CAP_SYS_ADMIN, which stands for all that containers take away: capabilities(7)


def _administers() -> bool:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff:")]
    return bool(int(line.split()[1], 16) & _SYS_ADMIN)


IS_WHOLE_ROOT: Final = os.geteuid() == 0 and _administers()
