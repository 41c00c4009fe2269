"""`maniple mcp logout` (acts)."""

import click
from msgspec import Struct

from kernel.cli import mcp_servers, replies, screen
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command


class _Done(Struct, frozen=True, kw_only=True):
    """The reply of auth.logout. was: whether there was a login. untold: why the tokens could not be revoked there."""

    was: bool
    untold: str = ""


@command()
@click.argument("name", metavar="NAME")
def mcp_logout(session: Session, name: str) -> None:
    """Log out of an MCP server: its Hand forgets its tokens, and its registration as a client.

    The authorization server is told to revoke the tokens (RFC 7009). If that fails you are told why, and are logged out
    here all the same; a copied token then works until it expires, or until you revoke it there.
    """
    with session.client() as client:
        hand, agreed = mcp_servers.require_installed(client, name)
        if agreed.login is None:
            raise Ended(f"{hand.name} needs no login: see `maniple mcp list`", Exit.USAGE)
        done = replies.read(client.call(f"{hand.name}.auth.logout").value, _Done)
    text = f"{hand.name} is logged out." if done.was else f"{hand.name} was not logged in."
    session.result({"name": hand.name, "was": done.was, "untold": done.untold}, lambda: text)
    if done.untold:
        why = screen.visible(done.untold)
        session.say(f"The authorization server could not be told, so its tokens work until they expire: {why}.")
