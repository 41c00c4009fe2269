"""Tables of documents, and cells cut to what a reply can carry (pure)."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

from msgspec import Struct

CELL_MOST: Final = 2_000
COLUMNS_MOST: Final = 256
CELL_LEAST: Final = 500
"""Characters of a cell; cells of a row; characters of each cell if the row would exceed a reply, in any script."""

Value = str | int | float | bool | None


class Table(Struct, kw_only=True):
    """A table. name: its sheet's name, or its number. rows: of any width, in order; can be iterated once."""

    name: str
    rows: Iterator[Sequence[object]]


def sendable(text: str) -> str:
    """A text as a reply can carry it: `?` for lone surrogates, which a PDF's character map may contain."""
    return text.encode("utf-8", "replace").decode()


def value_of(cell: object, most: int = CELL_MOST) -> Value:
    """A cell as a reply can carry it: numbers as they are, dates and times as ISO 8601, all else as text."""
    if cell is None or isinstance(cell, bool):
        return cell
    if isinstance(cell, int):
        return cell if abs(cell) < 1 << 53 else str(cell)
    if isinstance(cell, float):
        return cell if cell == cell and abs(cell) != float("inf") else str(cell)
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    text = sendable(str(cell) if isinstance(cell, str | timedelta) else repr(cell))
    return text if len(text) <= most else text[:most] + "…"


def row_of(cells: Sequence[object], most: int = CELL_MOST) -> list[Value]:
    """A row without the empty cells at its end. most: characters of a cell."""
    row = [value_of(cell, most) for cell in cells[:COLUMNS_MOST]]
    while row and row[-1] in (None, ""):
        row.pop()
    return row


def size_of(row: Sequence[Value]) -> int:
    """Bytes that a row takes in a reply, at most."""
    return 9 + sum(9 + len(value.encode()) if isinstance(value, str) else 9 for value in row)
