"""A kernel whose clock is an hour ahead at its start, and set right at once, as on a machine that has just come up.

python -c STARTER SEARCH-PATH tests.system.ahead HOME READY
"""

from kernel import core
from kernel import main as kernel_main

HOUR = 3_600_000_000
"""Microseconds."""

_time = core.Kernel.time


def _ahead(self: core.Kernel) -> int:
    return _time(self) + (0 if hasattr(self, "launcher") else HOUR)


main = kernel_main.main
core.Kernel.time = _ahead  # type: ignore[method-assign]
