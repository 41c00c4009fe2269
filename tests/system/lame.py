"""A kernel whose templates die at their start while HOME/state/lame is there, or cannot be started while HOME/state/none is.
Started by test_template.py as a process.

python -c STARTER SEARCH-PATH tests.system.lame HOME READY
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path


def preload(names: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """What a template imports, if it lives."""
    from runtime.preload import preload

    state = next(Path(one) for one in sys.argv if one.endswith("/state"))  # one of the folders that runs reach
    if (state / "lame").exists():
        os._exit(7)
    return preload(names)


def main(arguments: list[str]) -> None:
    """Be the kernel of a home."""
    from kernel import core, launcher
    from kernel import main as kernel_main
    from kernel.home import Home

    def start_template(home: Home) -> launcher.Started:
        if os.path.exists(home.at("state", "none")):
            raise BlockingIOError("no room for one more process")
        return launcher.start_template(home)

    core.__dict__["start_template"] = start_template
    launcher.PRELOAD = "tests.system.lame:preload"  # type: ignore[misc]
    kernel_main.main(arguments)
