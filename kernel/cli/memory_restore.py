"""`maniple memory restore` (acts)."""

import click

from kernel.cli import memories, streams
from kernel.cli.frame import Session, command
from kernel.cli.memories import Whose


@command()
@click.argument("file", metavar="FILE", type=click.Path())
@memories.whose_memory(sessions=False)
def memory_restore(session: Session, file: str, hand: str | None, shared: str | None) -> None:
    """Put a copy that `maniple memory backup` made in the place of a memory. What is there now is lost.

    The copy is checked first, and nothing changes unless it is whole. Calls that come meanwhile wait.
    """
    with session.client() as client, streams.source(file) as upload:
        space = memories.namespace_of(client, Whose(hand=hand, shared=shared, session=None))
        reply = client.call("memory.restore", space, seconds=memories.LONG_S, upload=upload)
    session.result(reply.value, lambda: f"The memory is as in {file}.")
