"""`maniple memory reindex` (acts)."""

from kernel.cli import memories
from kernel.cli.frame import Session, command
from kernel.cli.memories import MemoryOptions


@command()
@memories.whose_options(sessions=False, without=memories.EVERY_MEMORY)
def memory_reindex(session: Session, whose: MemoryOptions) -> None:
    """Rebuild every index of all memories, or of one.

    Meanwhile reads go on, and writes wait. The vectors of texts are rebuilt in the background, for which a model
    elsewhere charges again.
    """
    memories.call_each(session, whose, "memory.reindex", "to be reindexed", object, _drawn, json=list)


def _drawn(found: dict[str, object], known: dict[str, str]) -> str:
    return "\n".join(f"{memories.describe(space, known)}: reindexed" for space in found)
