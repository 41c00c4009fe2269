"""The migrations of a memory's file, in order (acts: reads them).

A file says in `PRAGMA user_version` how many it has gone through. A migration that was ever released is never edited: what
changes is a new one. `tests/memory/test_schema.py` opens a file of every earlier version, and compares what all of them
make with `sql/schema.sql`, which is the one place to read what is there.
"""

import re
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "migrations"
_FILE: Final = re.compile(r"(\d{4})_[a-z_]+\.sql")


def migrations() -> tuple[str, ...]:
    """The text of each migration; the first is number 1. ValueError when a number is missing or there twice."""
    files = sorted(path for path in FOLDER.iterdir() if _FILE.fullmatch(path.name))
    numbers = [int(path.name[:4]) for path in files]
    if numbers != list(range(1, len(files) + 1)):
        raise ValueError(f"migrations are numbered {numbers}")
    return tuple(path.read_text(encoding="utf-8") for path in files)
