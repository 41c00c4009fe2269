"""`maniple memory forget` (acts)."""

import click

from kernel.cli import memories
from kernel.cli.frame import Session, command
from kernel.cli.memories import MemoryOptions
from kernel.cli.usage_errors import WholeNumber


@command()
@click.argument("fragment", metavar="NUMBER", type=WholeNumber(1))
@memories.whose_options()
def memory_forget(session: Session, fragment: int, whose: MemoryOptions) -> None:
    """Remove the text with this number, from the history too. `maniple memory search` shows numbers.

    It cannot be undone. To delete a key: `maniple call memory.delete NAMESPACE key=...`.
    """
    with session.client() as client:
        space = memories.resolve_namespace(client, whose)
        with memories.told_where_to_look(whose, "--texts"):
            client.call("memory.forget", space, {"fragment": fragment})
    session.result({"forgotten": fragment}, lambda: f"{fragment} is forgotten.")
