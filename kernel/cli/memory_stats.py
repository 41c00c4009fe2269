"""`maniple memory stats` (acts)."""

from msgspec import Struct

from kernel.cli import memories, screen, told
from kernel.cli.frame import Session, command
from kernel.cli.memories import Whose


class Totals(Struct, frozen=True, kw_only=True):
    """memory.stats."""

    keys: int
    entities: int
    relations: int
    messages: int
    bytes: int | None = None


@command()
@memories.whose_memory()
def memory_stats(session: Session, hand: str | None, shared: str | None, conversation: str | None) -> None:
    """How much is remembered: of all memories, or of one.

    A session's are counted only when it is named. What is counted beside them is in the memory itself.
    """
    whose = Whose(hand=hand, shared=shared, session=conversation)
    with session.client() as client:
        if whose.is_given():
            spaces = [memories.namespace_of(client, whose)]
        else:
            spaces = [one.namespace for one in memories.owners(client)]
        found = {space: client.call("memory.stats", space).value for space in spaces}
        known = {} if session.json else memories.names(client)
    session.result(
        {"memories": found}, lambda: _drawn({of: told.read(row, Totals) for of, row in found.items()}, known)
    )


def _drawn(found: dict[str, Totals], known: dict[str, str]) -> str:
    if not found:
        return "Nothing is remembered yet."
    return screen.table(
        ("MEMORY", "KEYS", "ENTITIES", "RELATIONS", "MESSAGES", "ON DISK"),
        (
            (
                memories.in_words(space, known),
                str(one.keys),
                str(one.entities),
                str(one.relations),
                str(one.messages),
                "" if one.bytes is None else screen.size(one.bytes),
            )
            for space, one in found.items()
        ),
        right=("KEYS", "ENTITIES", "RELATIONS", "MESSAGES", "ON DISK"),
    )
