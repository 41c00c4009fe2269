"""`maniple memory erase` (acts)."""

import click

from kernel.cli import memories
from kernel.cli.client import Client
from kernel.cli.confirming import confirm
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.memories import MemoryOptions


@command()
@memories.whose_options(without="one of these three is needed")
@click.option("--yes", is_flag=True, help="Do not ask.")
def memory_erase(session: Session, whose: MemoryOptions, yes: bool) -> None:
    """Erase a session, or a whole memory with its sessions: a Hand's, even one that was removed, or a shared space.

    It cannot be undone. The log still holds that it was done, and digests of what was stored.
    """
    if not whose.is_given():
        raise Ended("say whose memory to erase: --hand, --shared or --session", Exit.USAGE)
    with session.client() as client:
        space = memories.resolve_namespace(client, whose)
        if _is_empty(client, space):
            if yes:  # expired data may still be in the file
                client.call("memory.erase", space, seconds=memories.CALL_S)
            nothing = f"There is nothing in {space}, so nothing was erased: `maniple memory stats` shows what there is."
            session.result({"erased": None}, str, nothing=nothing)
            return
        confirm(f"Erase {space}, for ever?", f"maniple memory erase {whose.words()}", yes=yes)
        client.call("memory.erase", space, seconds=memories.CALL_S)
    session.result({"erased": space}, lambda: f"{space} is erased.")


def _is_empty(client: Client, space: str) -> bool:
    """Whether the memory does not exist, or the session is empty; False if that cannot be determined."""
    try:
        stats = client.call("memory.stats", space, seconds=memories.CALL_S).value
    except Ended:  # a damaged memory can still be erased
        return False
    assert isinstance(stats, dict)
    counts = ("bytes",) if "bytes" in stats else ("fragments", "history", "keys", "entities", "relations", "messages")
    return not any(stats[each] for each in counts)
