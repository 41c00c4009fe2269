"""`maniple memory erase` (acts)."""

import click

from kernel.cli import memories
from kernel.cli.client import Client
from kernel.cli.confirming import confirm
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.memories import Whose


@command()
@memories.whose_memory(without="one of these three is needed")
@click.option("--yes", is_flag=True, help="Do not ask.")
def memory_erase(session: Session, whose: Whose, yes: bool) -> None:
    """Erase a session, or a whole memory with its sessions: a Hand's, even one that was removed, or a shared space.

    It cannot be undone. The log still holds that it was done, and digests of what was stored.
    """
    if not whose.is_given():
        raise Ended("say whose memory to erase: --hand, --shared or --session", Exit.USAGE)
    with session.client() as client:
        space = memories.namespace_of(client, whose)
        if _is_nothing(client, space):
            if yes:  # what is gone by its age is in the file still
                client.call("memory.erase", space, seconds=memories.LONG_S)
            nothing = f"There is nothing in {space}, so nothing was erased: `maniple memory stats` shows what there is."
            session.result({"erased": None}, str, nothing=nothing)
            return
        confirm(f"Erase {space}, for ever?", f"maniple memory erase {whose.words()}", yes=yes)
        client.call("memory.erase", space, seconds=memories.LONG_S)
    session.result({"erased": space}, lambda: f"{space} is erased.")


def _is_nothing(client: Client, space: str) -> bool:
    """Whether there is no such memory, or a session has nothing in it; not, where that cannot be told."""
    try:
        told = client.call("memory.stats", space, seconds=memories.LONG_S).value
    except Ended:  # damaged: to erase it is a way out
        return False
    assert isinstance(told, dict)
    held = ("bytes",) if "bytes" in told else ("fragments", "history", "keys", "entities", "relations", "messages")
    return not any(told[each] for each in held)
