"""Whether every row of a file can be read by who will ask for it (acts on a Store).

SQLite keeps what bytes it is given: a text need be no Unicode, a list of labels no JSON, and a time lie in no calendar. A row
of that sort, from a copy that was tampered with or a page with a wrong byte, would fail each recall and listing that comes
upon it, so `verify` looks for it. What a row must be stands in sql/readable.sql, by the beginnings of its columns' names.
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
    """Which rows cannot be read, in words, `most` at most. Raises StoreError where not even their pages can be."""
    found: list[str] = []
    with sqlite_errors():
        for thing, query in _SQL.items():
            for row in _faulty(store, query):
                found.append(f"{row[0]}the {thing} {row[1]} cannot be read")
                if len(found) == most:
                    return tuple(found)
    return tuple(dict.fromkeys(found))


def _faulty(store: Store, query: str) -> Iterator[tuple[str, str]]:
    """Where each row lies that is not what it must be, and which it is."""
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
