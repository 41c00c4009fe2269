"""Which searches go on while many names wait in all of them together (pure).

A search keeps what lies in the folders above until its turn comes, which may be 200,000 names, and all searches share the
memory of one process. So beyond CROWD_MOST names only the search that began first reads another folder; the others give back
what they were reading, and wait until it fits. It ends, and then the next one is the first: so nobody waits for ever. A
search of a few names waits for none of many.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

CROWD_MOST: Final = 50_000
"""Names that wait, in all searches together, from which on only the first of them reads on."""

FEW: Final = 32
"""A search that keeps less than this part of CROWD_MOST reads on all the same: with as many of them as there may be it is
twice CROWD_MOST.
"""

AGAIN: Final = 0.02
"""Seconds until a search that waits looks whether there is room."""

LOOKED: Final = 256
"""Names of a folder after which a search that reads it looks whether there still is."""


class Crowded(Exception):
    """A folder was given back: there is no room for its names."""


@dataclass(kw_only=True, eq=False)
class Spent:
    """What a search has looked at so far. cut: something was passed over because it was too much. waiting: names that it
    keeps now; changed by one thread at a time, and looked at by others.
    """

    names: int = 0
    size: int = 0
    cut: bool = False
    waiting: int = 0


@dataclass(frozen=True)
class Crowd:
    """The searches of a process, the first one first."""

    searches: list[Spent] = field(default_factory=list)

    @contextmanager
    def joined(self) -> Iterator[Spent]:
        """A search, from its begin to its end."""
        spent = Spent()
        self.searches.append(spent)
        try:
            yield spent
        finally:
            self.searches.remove(spent)

    def has_room(self, spent: Spent, more: int = 0) -> bool:
        """Whether this search may read on, if it is so many names more that it is to keep."""
        if self.searches[0] is spent or spent.waiting + more < CROWD_MOST // FEW:
            return True
        return sum(one.waiting for one in self.searches) + more < CROWD_MOST
