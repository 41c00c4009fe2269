"""`maniple memory erase` (acts)."""

from kernel.cli import memories
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.memories import Whose


@command()
@memories.whose_memory()
def memory_erase(session: Session, hand: str | None, shared: str | None, conversation: str | None) -> None:
    """Erase a session, or a whole memory with its sessions: a Hand's, also one that was removed, or a shared space.

    It cannot be undone. The log keeps that it was done, and digests of what was stored.
    """
    whose = Whose(hand=hand, shared=shared, session=conversation)
    if not whose.is_given():
        raise Ended("say whose memory to erase: --hand, --shared or --session", Exit.USAGE)
    with session.client() as client:
        space = memories.namespace_of(client, whose)
        client.call("memory.erase", space, seconds=memories.LONG_S)
    session.result({"erased": space}, lambda: f"{space} is erased.")
