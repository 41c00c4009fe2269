"""`maniple memory backup` (acts)."""

import click

from kernel.cli import memories, named_files, replies, streams
from kernel.cli.frame import Session, command
from kernel.cli.memories import MemoryOptions


@command()
@click.argument("file", metavar="FILE", type=named_files.PATH)
@memories.whose_options(sessions=False)
def memory_backup(session: Session, file: str, whose: MemoryOptions) -> None:
    """Copy a whole memory with its sessions into a new FILE, while everybody goes on reading and writing.

    The copy shows the memory at one moment. It is not encrypted.
    """
    with session.client() as client, streams.create(file) as take:
        space = memories.resolve_namespace(client, whose)
        reply = client.call("memory.backup", space, seconds=memories.CALL_S, chunk=take)
    row = {"file": file, **replies.read(reply.value, dict[str, object])}
    session.result(row, lambda: f"{file} holds the whole memory.")
