"""A kernel whose disk hangs as long as there is a file HOME/run/hung, and of which BEHIND bytes wait at most, not 64 MiB.

python -c STARTER SEARCH-PATH tests.system.hung_disk HOME READY
"""

import os
import time
from pathlib import Path
from typing import Final

from kernel import main as kernel_main
from kernel.record import log

BEHIND: Final = (64 * 1024, 128 * 1024, 192 * 1024, 384 * 1024)


def main(arguments: list[str]) -> None:
    """Be the kernel of a home."""
    hung, sync = Path(arguments[0]) / "run" / "hung", os.fdatasync

    def hangs(file: int) -> None:
        while hung.exists():
            time.sleep(0.01)
        sync(file)

    log.__dict__["BEHIND"] = BEHIND
    os.fdatasync = hangs  # type: ignore[assignment]  # all that the kernel syncs files by
    kernel_main.main(arguments)
