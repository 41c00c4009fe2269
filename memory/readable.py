"""Checks that every row of a file can be decoded (acts on a Store).

SQLite stores any bytes: a text need not be Unicode, a list of labels not JSON, and a time may be outside the calendar. Such a
row, from a manipulated copy or a page with a wrong byte, would make every recall and listing that reads it fail, so `verify`
looks for it. sql/readable.sql names each column by the test that it must pass.
"""

from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Final

import msgspec

from memory.queries import queries
from memory.spaces import NUMBERS
from memory.store import Binding, Store, sqlite_errors
from memory.times import COUNT_LAST, LAST

_SQL: Final = queries("readable")
_BAD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def unreadable(store: Store, most: int) -> tuple[str, ...]:
    """Return descriptions of rows that cannot be decoded, at most `most`. Raises StoreError if pages cannot be read."""
    found: list[str] = []
    with sqlite_errors():
        for thing, query in _SQL.items():
            for row in _faulty(store, query):
                found.append(f"{row[0]}the {thing} {row[1]} cannot be read")
                if len(found) == most:
                    return tuple(found)
    return tuple(dict.fromkeys(found))


def _faulty(store: Store, query: str) -> Iterator[tuple[str, str]]:
    """Yield the space and the name of each row that fails a test."""
    tests: list[Callable[[Binding], bool]] = []
    cursor = store.connection.execute(query)
    for row in cursor:
        tests = tests or [_TESTS[name.partition("_")[0]] for name, _ in cursor.get_description()[2:]]
        if not all(test(value) for test, value in zip(tests, row[2:], strict=True)):
            space = _shown(row[0])
            yield f"{space}: " if space else "", _shown(row[1])


def _is_text(value: Binding) -> bool:
    if not isinstance(value, bytes):
        return value is None
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_json(value: Binding, kind: object) -> bool:
    if not isinstance(value, bytes):
        return False
    try:
        msgspec.json.decode(value, type=kind)
    except _BAD:
        return False
    return True


def _is_between(value: Binding, least: float, greatest: float) -> bool:
    return value is None or (isinstance(value, int | float) and least <= value <= greatest)


def _shown(value: Binding) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


_TESTS: Final = MappingProxyType(
    {
        "text": _is_text,
        "labels": lambda value: _is_json(value, list[str]),
        "table": lambda value: _is_json(value, dict[str, object]),
        "time": lambda value: _is_between(value, 0, LAST),
        "count": lambda value: _is_between(value, 1, COUNT_LAST),
        "within": lambda value: _is_between(value, 0, NUMBERS - 1),
        "share": lambda value: _is_between(value, 0, 1),
    }
)
