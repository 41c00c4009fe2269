"""`maniple memory import` (acts)."""

import click

from kernel.cli import memories, named_files, streams
from kernel.cli.exits import Ended, NotDone
from kernel.cli.frame import Session, command
from kernel.cli.memories import MemoryOptions


@command()
@click.argument("file", metavar="FILE", type=named_files.PATH)
@memories.whose_options()
def memory_import(session: Session, file: str, whose: MemoryOptions) -> None:
    """Read what `maniple memory export` wrote into a memory, or a session, that is empty. FILE may be - for stdin.

    Either all of it is imported, or nothing. It may come from another Hand and another home.
    """
    with session.client() as client, streams.source(file) as upload:
        space = memories.resolve_namespace(client, whose)
        try:
            reply = client.call("memory.all.import", space, seconds=memories.CALL_S, upload=upload)
        except NotDone as error:
            if error.reason != "arguments":
                raise
            raise Ended(f"{file}: {error}; `maniple memory export` writes what this reads") from None
    session.result(reply.value, lambda: f"{file} is imported.")
