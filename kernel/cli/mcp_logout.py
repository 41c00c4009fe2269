"""`maniple mcp logout` (acts)."""

import click
from msgspec import Struct

from kernel.cli import mcp_servers, told
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command


class _Done(Struct, frozen=True, kw_only=True):
    """Whether there was a login."""

    was: bool


@command()
@click.argument("name", metavar="NAME")
def mcp_logout(session: Session, name: str) -> None:
    """Forget the login to an MCP server: its tokens, and what its Hand is registered as there.

    The authorization server is not told. Whoever has copied a token may use it until it expires, or you end it there.
    """
    with session.client() as client:
        hand, agreed = mcp_servers.added(client, name)
        if agreed.login is None:
            raise Ended(f"{hand.name} logs in nowhere: see `maniple mcp list`", Exit.USAGE)
        was = told.read(client.call(f"{hand.name}.auth.logout").value, _Done).was
    text = f"{hand.name} is logged out." if was else f"{hand.name} was not logged in."
    session.result({"name": hand.name, "was": was}, lambda: text)
