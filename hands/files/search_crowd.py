"""Decides which searches may read on while many names wait in all of them together (pure).

A search holds the names of the folders it has read until it visits them: up to 200,000, and all searches share the memory
of one process. So above CROWD_MOST waiting names only the oldest search reads another folder; the others give back the
folder they were reading, and wait for room. When the oldest ends, the next one is the oldest: so nobody waits for ever. A
search that holds few names never waits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

CROWD_MOST: Final = 50_000
"""Waiting names, in all searches together, from which on only the oldest search reads on."""

FEW: Final = 32
"""A search that holds fewer than CROWD_MOST / FEW names reads on all the same. As many of these as can run at once make it
2 * CROWD_MOST at most.
"""

RETRY_EVERY: Final = 0.02
"""Seconds after which a waiting search checks again for room."""

CHECK_EVERY: Final = 256
"""A search checks for room each time it has read so many names of a folder."""


class Crowded(Exception):
    """There is no room for this folder's names: the search must give it back and read it later."""


@dataclass(kw_only=True, eq=False)
class Spent:
    """What one search has used so far. names, size: names examined, bytes read. cut: a limit was reached.
    waiting: names it holds now; one thread at a time changes it, others read it.
    """

    names: int = 0
    size: int = 0
    cut: bool = False
    waiting: int = 0


@dataclass(frozen=True)
class Crowd:
    """The running searches of this process, oldest first."""

    searches: list[Spent] = field(default_factory=list)

    @contextmanager
    def joined(self) -> Iterator[Spent]:
        """Registers a search for the duration of the block."""
        spent = Spent()
        self.searches.append(spent)
        try:
            yield spent
        finally:
            self.searches.remove(spent)

    def has_room(self, spent: Spent, more: int = 0) -> bool:
        """Whether this search may read on and hold `more` names in addition."""
        if self.searches[0] is spent or spent.waiting + more < CROWD_MOST // FEW:
            return True
        return sum(one.waiting for one in self.searches) + more < CROWD_MOST
