"""A kernel that hears late that a process has ended, as of one that takes long to die; and whose disk takes its time.

A run without a tape is LATE; each sync takes DELAY as long as there is a file HOME/run/slow.

python -c STARTER SEARCH-PATH tests.system.late HOME READY
"""

from functools import partial
from typing import Final

from kernel.runs import Run
from kernel.supervisor import Supervisor
from tests.system import slow_disk

LATE: Final = 0.7
DELAY: Final = 2.0
"""Seconds."""

_process_ended = Supervisor.on_process_end


def _late(self: Supervisor, run: Run, status: int) -> None:
    now = partial(_process_ended, self, run, status)
    if run.tape is None:
        self._kernel.loop.after(LATE, now)
    else:
        now()


def main(arguments: list[str]) -> None:
    """Be the kernel of a home."""
    Supervisor.on_process_end = _late  # type: ignore[method-assign]
    slow_disk.__dict__["DELAY"] = DELAY
    slow_disk.main(arguments)
