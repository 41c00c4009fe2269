"""What attacks that would change the system load in earnest, on a machine that is no loss (acts): see tests/machines/."""

from pathlib import Path
from typing import Final

PLACE: Final = Path("/usr/lib/expendable")
"""Only a guest has it, which its builder gave a module and a Linux that fit its own. Runs may read what is below /usr/lib."""


def real(name: str) -> str:
    """The path of the thing itself; "" where this machine is no guest, and what is loaded must be refused."""
    return str(PLACE / name) if (PLACE / name).is_file() else ""
