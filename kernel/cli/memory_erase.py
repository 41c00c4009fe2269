"""`maniple memory erase` (acts)."""

import click

from kernel.cli import memories
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.memories import Whose
from kernel.cli.sure import make_sure


@command()
@memories.whose_memory()
@click.option("--yes", is_flag=True, help="Do not ask.")
def memory_erase(session: Session, whose: Whose, yes: bool) -> None:
    """Erase a session, or a whole memory with its sessions: a Hand's, also one that was removed, or a shared space.

    It cannot be undone. The log keeps that it was done, and digests of what was stored.
    """
    if not whose.is_given():
        raise Ended("say whose memory to erase: --hand, --shared or --session", Exit.USAGE)
    with session.client() as client:
        space = memories.namespace_of(client, whose)
        make_sure(f"Erase {space}, for ever?", f"maniple memory erase {whose.words()}", yes=yes)
        client.call("memory.erase", space, seconds=memories.LONG_S)
    session.result({"erased": space}, lambda: f"{space} is erased.")
