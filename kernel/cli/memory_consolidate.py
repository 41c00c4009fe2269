"""`maniple memory consolidate` (acts)."""

from msgspec import Struct

from kernel.cli import memories, screen
from kernel.cli.frame import Session, command
from kernel.cli.memories import MemoryOptions


class Consolidated(Struct, frozen=True, kw_only=True):
    """The reply of memory.consolidate."""

    looked: int
    merged: int
    promoted: int
    archived: int


@command()
@memories.whose_options(sessions=False, without=memories.EVERY_MEMORY)
def memory_consolidate(session: Session, whose: MemoryOptions) -> None:
    """Go through all memories, or one: merge near-duplicates, promote what recurs, archive what has faded.

    Nothing is deleted. The Hand `memory` also does this by itself, for memories in use, while nobody calls it.
    """
    memories.call_each(session, whose, "memory.consolidate", "to be gone through", Consolidated, _drawn)


def _drawn(found: dict[str, Consolidated], known: dict[str, str]) -> str:
    columns = ("LOOKED AT", "MERGED", "PROMOTED", "ARCHIVED")
    return screen.table(
        ("MEMORY", *columns),
        (
            (memories.describe(space, known), *map(str, (one.looked, one.merged, one.promoted, one.archived)))
            for space, one in found.items()
        ),
        right=columns,
    )
