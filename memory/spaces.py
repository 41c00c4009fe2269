"""The spaces of one file, and the numbers of what lies in them (acts on a Store).

Each space counts its own fragments and chunks, so that a number tells nothing of other spaces. A row's id is the space's
number * 2^32 + its own number: rows of a space lie together, and an id of one space can never name a row of another.
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
"""What a row's id has room for, and the greatest number of what lies in a space."""

_SQL: Final = queries("fragments")


class Space(Struct, frozen=True, kw_only=True):
    """A space as it is now. indexed, terms: chunks in the index of words, and their lengths' sum."""

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
"""A space that nothing was ever put into: it is asked like every other, and has nothing."""


def found(store: Reader, name: str) -> Space:
    """The space of this name, NOWHERE if nothing lies in it. Raises Invalid for what can be no name."""
    if len(name) > NAME_MAX or "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise Invalid(f"a space's name is at most {NAME_MAX} characters, without NUL and lone surrogates")
    rows = store.rows(_SQL["space"], {"name": name})
    return _space(rows[0]) if rows else NOWHERE


def holding(store: Reader, row: int) -> Space:
    """The space in which a row lies. Raises Damaged where there is none."""
    rows = store.rows(_SQL["space_of"], {"id": row // NUMBERS})
    if not rows:
        raise Damaged(ASTRAY)
    return _space(rows[0])


def opened(store: Store, name: str) -> Space:
    """The space of this name, made if it is not there."""
    space = found(store, name)
    if space is not NOWHERE:
        return space
    store.rows(_SQL["make_space"], {"name": name})
    return found(store, name)


def _space(row: Row) -> Space:
    told = dict(zip(Space.__struct_fields__, row, strict=True))
    return msgspec.convert({**told, "languages": msgspec.json.decode(str(told["languages"]))}, Space)


def number(row: int) -> int:
    """A row's number within its space."""
    return row % NUMBERS
