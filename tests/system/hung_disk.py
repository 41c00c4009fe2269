"""A kernel whose disk hangs as long as there is a file HOME/run/hung, and the log has the text that is in it.

BEHIND bytes wait for it at most, not 64 MiB; and `freeze` waits for it for a tenth of a second.

python -c STARTER SEARCH-PATH tests.system.hung_disk HOME READY
"""

import os
import time
from pathlib import Path
from typing import Final

from kernel import main as kernel_main
from kernel.methods import whole
from kernel.record import log

BEHIND: Final = (64 * 1024, 128 * 1024, 192 * 1024, 384 * 1024)


def main(arguments: list[str]) -> None:
    """Be the kernel of a home."""
    home, sync = Path(arguments[0]), os.fdatasync
    hung, entries = home / "run" / "hung", home / "log" / "entries" / "000000.jsonl"

    def hangs(file: int) -> None:
        while hung.exists() and hung.read_bytes() in entries.read_bytes():
            time.sleep(0.01)
        sync(file)

    log.__dict__["BEHIND"], whole.__dict__["RECORDED_WITHIN"] = BEHIND, 0.1
    os.fdatasync = hangs  # type: ignore[assignment]  # all that the kernel syncs files by
    kernel_main.main(arguments)
