"""Describes a table in words (pure): its columns, with statistics of each. For CSV, TSV, semicolons, and JSON rows.

Of a column of numbers: the smallest, the largest, the rows that have these, by their first column, and the mean. Of any other
column: how many different values, and the most frequent one. It says if there are more rows than it reads.
"""

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

ROWS_MOST: Final = 100_000
COLUMNS_MOST: Final = 50
SHOWN: Final = 40
"""Characters of a value that are shown, at most."""


class Table(Struct, frozen=True, kw_only=True):
    """Names of columns, and rows of as many texts. more: there were more rows than ROWS_MOST."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: bool = False


def describe(text: str) -> str:
    """Return the table's description in Markdown: a sentence, and a line for each column."""
    table = read(text)
    if table is None:
        return "This is not a table."
    rows, columns = len(table.rows), len(table.columns)
    size = f"{rows} row{'' if rows == 1 else 's'} of {columns} column{'' if columns == 1 else 's'}."
    lines = [size + (" There are more." if table.more else ""), ""]
    lines += [f"- {name}: {_describe_column(table, place)}" for place, name in enumerate(table.columns)]
    return "\n".join(lines)


def read(text: str) -> Table | None:
    """Return the table that a text is, None if it is not a table."""
    return _read_json(text) or _read_lines(text)


def _read_json(text: str) -> Table | None:
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if isinstance(value, dict):  # a reply whose one list is the rows
        lists = [one for one in value.values() if isinstance(one, list) and one and isinstance(one[0], dict | list)]
        texts = [one for one in value.values() if isinstance(one, str) and "\n" in one]
        if len(lists) == 1:
            value = lists[0]
        else:
            return _read_lines(texts[0]) if len(texts) == 1 else None
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return None
    rows = [row for row in value[:ROWS_MOST] if isinstance(row, dict)]
    columns = list(dict.fromkeys(str(name) for row in rows for name in row))[:COLUMNS_MOST]
    return Table(
        columns=tuple(columns),
        rows=tuple(tuple(_shown(row.get(name)) for name in columns) for row in rows),
        more=len(value) > ROWS_MOST,
    )


def _read_lines(text: str) -> Table | None:
    head = text.lstrip("\ufeff\n").split("\n", 1)[0]
    mark = max(",;\t", key=head.count)
    if not head.count(mark):
        return None
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text.lstrip("\ufeff\n")), delimiter=mark):
            if any(field.strip() for field in row):
                rows.append([field.strip() for field in row[:COLUMNS_MOST]])
            if len(rows) > ROWS_MOST + 1:
                break
    except csv.Error:
        return None
    if len(rows) < 2 or len(rows[0]) < 2:
        return None
    width = len(rows[0])
    body = tuple((*row[:width], *[""] * (width - len(row))) for row in rows[1 : ROWS_MOST + 1])
    return Table(columns=tuple(rows[0]), rows=body, more=len(rows) > ROWS_MOST + 1)


def _describe_column(table: Table, place: int) -> str:
    values = [(row[place], row[0]) for row in table.rows if row[place] != ""]
    empty = len(table.rows) - len(values)
    after = f"; {empty} empty" if empty else ""
    if not values:
        return "empty"
    numbers = [(number, name) for value, name in values if (number := _number(value)) is not None]
    if len(numbers) == len(values):
        low, high = min(numbers, key=lambda one: one[0]), max(numbers, key=lambda one: one[0])
        mean = math.fsum(number for number, _ in numbers) / len(numbers)
        least, largest = (f" ({_cut(low[1])})", f" ({_cut(high[1])})") if place else ("", "")
        return f"from {low[0]:.15g}{least} to {high[0]:.15g}{largest}, {round(mean, 3):.15g} on average{after}"
    often = Counter(value for value, _ in values)
    first, times = min(often.items(), key=lambda one: (-one[1], one[0]))
    most = f", most often {_cut(first)} ({times} times)" if times > 1 else _extremes(values)
    return f"{len(often)} different values{most}{after}"


def _extremes(values: Sequence[tuple[str, str]]) -> str:
    texts = [value for value, _ in values]
    return f", from {_cut(min(texts))} to {_cut(max(texts))}"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _shown(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
