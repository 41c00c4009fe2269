"""`maniple memory reindex` (acts)."""

from kernel.cli import memories
from kernel.cli.frame import Session, command
from kernel.cli.memories import Whose


@command()
@memories.whose_memory(sessions=False, without=memories.EVERY)
def memory_reindex(session: Session, whose: Whose) -> None:
    """Rebuild every index of all memories, or of one.

    Meanwhile reads go on, and writes wait. The vectors of texts are rebuilt in the background, for which a model
    elsewhere charges again.
    """
    with session.client() as client:
        spaces = list(memories.each(session, client, whose, "memory.reindex", "to be reindexed", object))
        known = {} if session.json else memories.names(client)
    lines = [f"{memories.in_words(space, known)}: reindexed" for space in spaces]
    session.result({"memories": spaces}, lambda: "\n".join(lines) or memories.NOTHING)
