"""`maniple mcp remove` (acts)."""

import click

from kernel.cli import mcp_servers
from kernel.cli.frame import Session, command
from kernel.cli.remove import take_away, was_purged


@command()
@click.argument("name", metavar="NAME")
def mcp_remove(session: Session, name: str) -> None:
    """Remove a server's Hand, with its grants, its secrets and what it kept, after its processes have ended."""
    hand, done = mcp_servers.hand_of(name), "is removed"
    with session.client() as client:
        if is_rest := was_purged(session, client, hand):
            done = "was removed before; what it left is gone now"
        else:
            mcp_servers.added(client, name)
    if not is_rest:
        take_away(session, hand, purge=True)
    session.result({"name": hand}, lambda: f"{hand} {done}.")
