"""`maniple memory verify` (acts)."""

from kernel.cli import memories
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.memories import Checked, Whose


@command()
@memories.whose_memory(sessions=False, without=memories.EVERY)
def memory_verify(session: Session, whose: Whose) -> None:
    """Check every memory, or one, from the first page to the last, and repair its indexes.

    This finds torn pages, indexes that disagree with their rows, and gaps in numbers. Damaged rows can only be restored
    from a backup: then it ends with 5.
    """
    with session.client() as client:
        found = memories.each(session, client, whose, "memory.verify", "to be checked", Checked)
        known = {} if session.json else memories.names(client)
    session.result({"memories": found}, lambda: _drawn(found, known))
    if not all(one.ok for one in found.values()):
        mend = "see `maniple memory restore`, which brings back a backup"
        raise Ended(f"a memory is damaged: {mend}", Exit.UNVERIFIED)


def _drawn(found: dict[str, Checked], known: dict[str, str]) -> str:
    if not found:
        return memories.NOTHING
    rows = []
    for space, one in found.items():
        rows.append(f"{memories.in_words(space, known)}: {'whole' if one.ok else 'damaged'}")
        rows += [f"    {problem}" for problem in one.problems]
        rows += [f"    repaired: {mended}" for mended in one.mended]
    return "\n".join(rows)
