"""`maniple memory verify` (acts)."""

from kernel.cli import memories
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.memories import MemoryOptions, VerifyReply


@command()
@memories.whose_options(sessions=False, without=memories.EVERY_MEMORY)
def memory_verify(session: Session, whose: MemoryOptions) -> None:
    """Check every memory, or one, from the first page to the last, and repair its indexes.

    This finds torn pages, indexes that disagree with their rows, and gaps in numbers. Damaged rows can only be restored
    from a backup: then it ends with 5.
    """
    found = memories.call_each(
        session, whose, "memory.verify", "to be checked", VerifyReply, _drawn, code=Exit.UNVERIFIED
    )
    if not all(one.ok for one in found.values()):
        mend = "see `maniple memory restore`, which brings back a backup"
        raise Ended(f"a memory is damaged: {mend}", Exit.UNVERIFIED)


def _drawn(found: dict[str, VerifyReply], known: dict[str, str]) -> str:
    rows = []
    for space, one in found.items():
        rows.append(f"{memories.describe(space, known)}: {'whole' if one.ok else 'damaged'}")
        rows += [f"    {problem}" for problem in one.problems]
        rows += [f"    repaired: {mended}" for mended in one.mended]
    return "\n".join(rows)
