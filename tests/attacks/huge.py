"""What this machine keeps of huge pages, and where files consist of them (acts): see tests/machines/test_huge_pages.py."""

from pathlib import Path
from typing import Final

MANY: Final = 80
"""Pages that an attack takes: 160 MiB, more than its Hand may have of memory. A page has 2 MiB on x86-64, and on aarch64
where an ordinary one has 4 KiB."""

_FREE: Final = Path("/proc/sys/vm/nr_hugepages")
_MOUNTS: Final = Path("/proc/self/mounts")


def lacking() -> str:
    """Why no attack can take so many here, "" if one can."""
    return "" if _FREE.exists() and int(_FREE.read_text()) >= MANY else "this machine keeps too few huge pages"


def folder() -> str:
    """The folder whose files consist of huge pages, "" if there is none."""
    rows = (line.split() for line in _MOUNTS.read_text().splitlines())
    return next((row[1] for row in rows if row[2] == "hugetlbfs"), "")
