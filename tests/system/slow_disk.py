"""A kernel whose disk takes its time: each sync takes DELAY as long as there is a file HOME/run/slow.

python -c STARTER SEARCH-PATH tests.system.slow_disk HOME READY
"""

import os
import time
from pathlib import Path
from typing import Final

from kernel import main as kernel_main

DELAY: Final = 0.5
"""Seconds."""


def main(arguments: list[str]) -> None:
    """Be the kernel of a home."""
    slow, sync = Path(arguments[0]) / "run" / "slow", os.fdatasync

    def slowly(file: int) -> None:
        if slow.exists():
            time.sleep(DELAY)
        sync(file)

    os.fdatasync = slowly  # type: ignore[assignment]  # all that the kernel syncs files by
    kernel_main.main(arguments)
