"""`maniple memory export` (acts)."""

import click

from kernel.cli import memories, named_files, streams
from kernel.cli.frame import Session, command
from kernel.cli.memories import MemoryOptions


@command(json=False)
@click.argument("file", metavar="[FILE]", type=named_files.PATH, required=False)
@memories.whose_options()
def memory_export(session: Session, file: str | None, whose: MemoryOptions) -> None:
    """Write all of a memory, or of one session, as JSON Lines: to stdout, or into a new FILE.

    A memory's export holds none of its sessions: export each by itself, or all in one file with `maniple memory
    backup`.
    """
    with session.client() as client, streams.create(file) as take:
        space = memories.resolve_namespace(client, whose)
        client.call("memory.all.export", space, seconds=memories.CALL_S, chunk=take)
    if file is not None:
        session.say(f"{file} holds all of {space}.")
