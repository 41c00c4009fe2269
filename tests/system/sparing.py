"""A kernel that keeps an eighth of what others keep of what peers do not take, so that less has to come before it shows.

python -c STARTER SEARCH-PATH tests.system.sparing HOME READY; its disk is slow as that of tests.system.slow_disk.
"""

from typing import Final

from kernel import runs
from kernel.record import tapes
from tests.system import slow_disk

SPARED: Final = tuple(most // 8 for most in runs.UNSENT_MOST)


def main(arguments: list[str]) -> None:
    """Be the kernel of a home."""
    for module in (runs, tapes):
        module.__dict__["UNSENT_MOST"] = SPARED
    slow_disk.main(arguments)
