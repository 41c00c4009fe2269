"""`maniple mcp remove` (acts)."""

import click

from kernel.cli import mcp_servers
from kernel.cli.frame import Session, command
from kernel.cli.remove import take_away


@command()
@click.argument("name", metavar="NAME")
def mcp_remove(session: Session, name: str) -> None:
    """Remove a server's Hand, with its grants, its secrets and what it kept, after its processes have ended."""
    with session.client() as client:
        hand, _ = mcp_servers.added(client, name)
    take_away(session, hand.name, purge=True)
    session.result({"name": hand.name}, lambda: f"{hand.name} is removed.")
