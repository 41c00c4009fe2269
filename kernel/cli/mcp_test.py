"""`maniple mcp test` (acts)."""

import time

import click

from kernel.cli import mcp_servers, screen
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command
from manifests.mcp.tools import TASK_ONLY, OfferInvalid, changed_tools
from manifests.mcp.words import visible


@command()
@click.argument("name", metavar="NAME")
def mcp_test(session: Session, name: str) -> None:
    """Ask a server that is a Hand what it offers now, and compare that with what you agreed to.

    Ends with 1 if a tool that you agreed to is gone or changed: it is refused until `maniple mcp add` has shown it
    again.
    """
    with session.client() as client:
        hand, agreed = mcp_servers.require_installed(client, name)
        started = time.monotonic()
        try:
            offer = mcp_servers.ask_offer(session, client, hand.name)
        except OfferInvalid as error:
            raise Ended(f"{hand.name}: {error}; `maniple logs {hand.name}` has what it printed") from None
        seconds = time.monotonic() - started
    now = {tool.name: tool for tool in offer.tools}
    wrong = changed_tools(agreed, now)
    known = {one.tool for one in agreed.tools.values()}
    rows = [(one.tool, method, wrong.get(method, "as agreed")) for method, one in agreed.tools.items()]
    rows += [
        (tool, "", TASK_ONLY if now[tool].is_task_only else "new, and not taken") for tool in now if tool not in known
    ]
    session.result(
        {
            "name": hand.name,
            "server": offer.server,
            "version": offer.version,
            "protocol": offer.protocol,
            "seconds": round(seconds, 3),
            "tools": [{"tool": tool, "method": method, "state": state} for tool, method, state in rows],
        },
        lambda: screen.table(("TOOL", "METHOD", "STATE"), [(visible(tool), *rest) for tool, *rest in rows]),
    )
    who = f"{visible(offer.server)} {visible(offer.version)}".strip()
    session.say(f"{hand.name}: {who} answered in {seconds * 1000:.0f} ms, MCP {visible(offer.protocol)}")
    if wrong:
        raise Ended(f"{len(wrong)} of its tools are not as agreed: `maniple mcp add` shows them again")
