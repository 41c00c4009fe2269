"""`maniple memory stats` (acts)."""

from msgspec import Struct

from kernel.cli import memories, replies, screen
from kernel.cli.frame import Session, command
from kernel.cli.memories import MemoryOptions


class Totals(Struct, frozen=True, kw_only=True):
    """The reply of memory.stats."""

    fragments: int
    waiting: int
    keys: int
    entities: int
    relations: int
    messages: int
    bytes: int | None = None


@command()
@memories.whose_options(without=memories.EVERY_MEMORY)
def memory_stats(session: Session, whose: MemoryOptions) -> None:
    """Show how much is remembered: in every memory, or in one.

    Sessions are counted only if one is named. TEXTS are what `maniple memory search` finds. Those in WAITING have no
    vectors yet, and are found only by their words.
    """
    memories.call_each(session, whose, "memory.stats", "to be counted", dict[str, object], _drawn)


def _drawn(found: dict[str, dict[str, object]], known: dict[str, str]) -> str:
    return screen.table(
        ("MEMORY", "TEXTS", "WAITING", "KEYS", "ENTITIES", "RELATIONS", "MESSAGES", "ON DISK"),
        (
            (
                memories.describe(space, known),
                str(one.fragments),
                str(one.waiting or ""),
                str(one.keys),
                str(one.entities),
                str(one.relations),
                str(one.messages),
                "" if one.bytes is None else screen.size(one.bytes),
            )
            for space, one in ((space, replies.read(row, Totals)) for space, row in found.items())
        ),
        right=("TEXTS", "WAITING", "KEYS", "ENTITIES", "RELATIONS", "MESSAGES", "ON DISK"),
    )
