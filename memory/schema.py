"""The migrations of a memory file, in order (acts: reads them).

A file's `PRAGMA user_version` is the number of migrations applied. A released migration is never edited: each change is a
new one. `tests/memory/test_schema.py` opens a file of every earlier version, and compares the result of all migrations
with `sql/schema.sql`, where the whole schema can be read.
"""

import re
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "migrations"
_FILE: Final = re.compile(r"(\d{4})_[a-z_]+\.sql")


def migrations() -> tuple[str, ...]:
    """Return the text of each migration; the first is number 1. Raises ValueError for a missing or duplicate number."""
    files = sorted(path for path in FOLDER.iterdir() if _FILE.fullmatch(path.name))
    numbers = [int(path.name[:4]) for path in files]
    if numbers != list(range(1, len(files) + 1)):
        raise ValueError(f"migrations are numbered {numbers}")
    return tuple(path.read_text(encoding="utf-8") for path in files)
