"""`maniple memory get` (acts)."""

import click

from kernel.cli import memories
from kernel.cli.frame import Session, as_json, command
from kernel.cli.memories import MemoryOptions


@command()
@click.argument("key", metavar="KEY")
@memories.whose_options()
def memory_get(session: Session, key: str, whose: MemoryOptions) -> None:
    """Print the value of a key, with its version and its times.

    Keys are set by `maniple call memory.set NAMESPACE key=... value=...`, and by Hands.
    """
    with session.client() as client:
        space = memories.resolve_namespace(client, whose)
        with memories.told_where_to_look(whose):
            reply = client.call("memory.get", space, {"key": key})
    session.result(reply.value, lambda: as_json(reply.value))
    if reply.labels and not session.json:
        session.say(f"labels: {', '.join(reply.labels)}")
