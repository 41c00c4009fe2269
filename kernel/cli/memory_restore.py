"""`maniple memory restore` (acts)."""

import shlex

import click

from kernel.cli import memories, named_files, streams
from kernel.cli.confirming import confirm
from kernel.cli.exits import Ended, NotDone
from kernel.cli.frame import Session, command
from kernel.cli.memories import MemoryOptions


@command()
@click.argument("file", metavar="FILE", type=named_files.PATH)
@memories.whose_options(sessions=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
def memory_restore(session: Session, file: str, whose: MemoryOptions, yes: bool) -> None:
    """Replace a memory with a copy that `maniple memory backup` made. What the memory holds now is lost.

    The copy is checked first: if it is damaged, nothing changes. Calls wait meanwhile.
    """
    with session.client() as client, streams.source(file) as upload:
        space = memories.resolve_namespace(client, whose)
        again = f"maniple memory restore {shlex.quote(file)} {whose.words()}".rstrip()
        confirm(f"Replace {space} with {file}? What it holds now is lost.", again, yes=yes, done="restored")
        try:
            reply = client.call("memory.restore", space, seconds=memories.CALL_S, upload=upload)
        except NotDone as error:
            if error.reason != "damaged":
                raise
            raise Ended(f"{file}: {error}; `maniple memory backup` writes what this reads") from None
    session.result(reply.value, lambda: f"The memory is restored from {file}.")
