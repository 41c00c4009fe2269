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
    with session.client() as client:
        spaces, damaged = memories.call_each(session, client, whose, "memory.reindex", "to be reindexed", object)
        known = {} if session.json else memories.names_by_namespace(client)
    lines = [f"{memories.describe(space, known)}: reindexed" for space in spaces]
    nothing = "" if damaged else memories.NOTHING_YET
    session.result({"memories": list(spaces)}, lambda: "\n".join(lines), nothing=nothing)
    memories.end_if_any(damaged)
