"""`maniple mcp remove` (acts)."""

import click

from kernel.cli import mcp_servers
from kernel.cli.frame import Session, command
from kernel.cli.remove import finish_removal, remove_hand


@command()
@click.argument("name", metavar="NAME")
def mcp_remove(session: Session, name: str) -> None:
    """Remove a server's Hand, with its grants, its secrets and what it kept, after its processes have ended."""
    hand, done = mcp_servers.hand_of(name), "is removed"
    with session.client() as client:
        if is_removed := finish_removal(session, client, hand):
            done = "was removed before; what it left is gone now"
        else:
            mcp_servers.require_installed(client, name)
    if not is_removed:
        remove_hand(session, hand, purge=True)
    session.result({"name": hand}, lambda: f"{hand} {done}.")
