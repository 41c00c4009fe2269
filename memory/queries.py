"""Reads the named queries of a `.sql` file (acts, once, when a module that uses them is imported).

All SQL is in `memory/sql/PART.sql`. A line `-- name: keys_get` begins a query, which extends to the next such line; other
comments are for people.
"""

import re
from pathlib import Path
from types import MappingProxyType
from typing import Final

FOLDER: Final = Path(__file__).parent / "sql"
_NAME: Final = re.compile(r"^-- name: ([a-z_0-9]+)$", re.MULTILINE)


def queries(part: str) -> MappingProxyType[str, str]:
    """Return the queries of `memory/sql/PART.sql`, by name. Raises ValueError for a duplicate name."""
    _, *pieces = _NAME.split((FOLDER / f"{part}.sql").read_text(encoding="utf-8"))
    found = dict(zip(pieces[::2], (text.strip() for text in pieces[1::2]), strict=True))
    if len(found) * 2 != len(pieces):
        raise ValueError(f"{part}.sql names a query twice")
    return MappingProxyType(found)
