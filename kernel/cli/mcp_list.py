"""`maniple mcp list` (acts)."""

from kernel.cli import mcp_servers, mcp_temporary, screen
from kernel.cli.frame import Session, command


@command()
def mcp_list(session: Session) -> None:
    """List every MCP server that is a Hand: its version, its program or URL, and how many of its tools you agreed to."""
    with session.client() as client:
        mcp_temporary.remove_abandoned(session, client)
        found, unreadable = mcp_servers.fetch_all(client)
    rows = [
        {
            "name": hand.name,
            "version": hand.version,
            "server": mcp_servers.command_or_url(hand, agreed),
            "tools": len(agreed.tools),
        }
        for hand, agreed in found
    ]
    heads = ("HAND", "VERSION", "TOOLS", "SERVER")
    session.result(
        {"servers": rows, "unreadable": unreadable},
        lambda: (
            screen.table(
                heads, (tuple(str(row[key.lower()]) for key in ("name", *heads[1:])) for row in rows), right=("TOOLS",)
            )
            if rows
            else ""
        ),
        nothing="" if unreadable else "There is none: `maniple mcp add NAME -- COMMAND` makes a Hand of one",
    )
    for why in unreadable.values():
        session.say(why)
