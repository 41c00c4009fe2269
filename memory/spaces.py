"""The spaces of one file, and the numbers of their rows (acts on a Store).

Each space counts its own fragments and chunks, so that a number reveals nothing of other spaces. A row's id is the space's
id * 2^32 + its own number: rows of a space are adjacent, and an id of one space never names a row of another.
"""

from typing import Final

import msgspec
from msgspec import Struct

from memory.errors import ASTRAY, Damaged, Invalid
from memory.queries import queries
from memory.store import Reader, Row, Store

NAME_MAX: Final = 512
NUMBERS: Final = 1 << 32
NUMBER_LAST: Final = NUMBERS - 2
"""How many numbers a space has, and the greatest that a row can have."""

_SQL: Final = queries("fragments")


class Space(Struct, frozen=True, kw_only=True):
    """A space. indexed, terms: the number of chunks in the index of words, and the sum of their lengths."""

    id: int
    fragments: int = 0
    chunks: int = 0
    indexed: int = 0
    terms: int = 0
    languages: tuple[str, ...] = ()

    @property
    def first(self) -> int:
        """The id before its first row."""
        return self.id * NUMBERS

    @property
    def last(self) -> int:
        """The greatest id that a row of it can have."""
        return self.id * NUMBERS + NUMBERS - 1


NOWHERE: Final = Space(id=-1)
"""An empty space, returned for a name that was never used."""


def find(store: Reader, name: str) -> Space:
    """Return the space of this name, NOWHERE if there is none. Raises Invalid for a malformed name."""
    if len(name) > NAME_MAX or "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise Invalid(f"a space's name is at most {NAME_MAX} characters, without NUL and lone surrogates")
    rows = store.rows(_SQL["space"], {"name": name})
    return _space(rows[0]) if rows else NOWHERE


def space_of_row(store: Reader, row: int) -> Space:
    """Return the space of a row. Raises Damaged if there is none."""
    rows = store.rows(_SQL["space_of"], {"id": row // NUMBERS})
    if not rows:
        raise Damaged(ASTRAY)
    return _space(rows[0])


def ensure(store: Store, name: str) -> Space:
    """Return the space of this name, created if necessary."""
    space = find(store, name)
    if space is not NOWHERE:
        return space
    store.rows(_SQL["make_space"], {"name": name})
    return find(store, name)


def _space(row: Row) -> Space:
    told = dict(zip(Space.__struct_fields__, row, strict=True))
    return msgspec.convert({**told, "languages": msgspec.json.decode(str(told["languages"]))}, Space)


def number(row: int) -> int:
    """Return a row's number within its space."""
    return row % NUMBERS
