"""`maniple mcp login` (acts)."""

from contextlib import ExitStack
from typing import Final

import click
from msgspec import Struct

from kernel.cli import mcp_listening, mcp_redirect, mcp_servers, replies, screen, standard_input
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.usage_errors import WholeNumber

LOGIN_S: Final = 600.0
"""Seconds within which a person must log in; also the longest deadline of a call to a service by default."""

ADDRESS_SHOWN: Final = 16 * 1024
"""Most bytes of a page's address that are shown."""


class _Done(Struct, frozen=True, kw_only=True):
    """The reply of auth.login. scope: the OAuth scope granted, in the server's words."""

    scope: str = ""


@command()
@click.argument("name", metavar="NAME")
@click.option(
    "--port",
    metavar="PORT",
    type=WholeNumber(1, 65535),
    help="The port of this machine that the page sends you back to; default: a free one.",
)
@click.option("--paste", is_flag=True, help="Type or paste here the address that the page sends you to.")
def mcp_login(session: Session, name: str, port: int | None, paste: bool) -> None:
    """Log in to an MCP server at a URL, by OAuth: prints the page to open, and waits until you have logged in.

    The tokens stay in the state of the server's Hand, and are shown to nobody. The page belongs to the authorization
    server that the MCP server names. Its host needs a grant: `maniple mcp add NAME URL --connect HOST:PORT`.

    If your browser is on another machine, use --paste: it is sent to an address that it cannot open, which you copy
    here.
    """
    typed = standard_input.stream() if paste else None
    with session.client() as client, mcp_listening.bind(port or 0) as listener, ExitStack() as stack:
        hand, agreed = mcp_servers.require_installed(client, name)
        if agreed.login is None or agreed.login.is_alone:
            how = "logs in by itself" if agreed.login else "needs no login"
            raise Ended(f"{hand.name} {how}: see `maniple mcp add --help`", Exit.USAGE)
        redirect = mcp_redirect.redirect_url(listener.getsockname()[1])
        redirect_port = None if paste else stack.enter_context(mcp_redirect.RedirectPort(listener))

        def show(page: bytes) -> None:
            if redirect_port is not None:
                redirect_port.expect(page.decode("utf-8", "replace"))
            session.say("Open this page in a browser, and log in there:")
            session.say(f"  {screen.visible(page[:ADDRESS_SHOWN].decode('utf-8', 'replace'))}")
            session.say(
                f"Then paste here the address that it sends you to, {redirect}…" if paste else "Ctrl-C gives it up."
            )

        if paste:
            listener.close()
        value = client.call(
            f"{hand.name}.auth.login",
            arguments={"redirect": redirect},
            seconds=LOGIN_S,
            chunk=show,
            upload=typed or redirect_port,
        ).value
    scope = replies.read(value, _Done).scope
    scope_text = f" It may now: {screen.visible(scope)}." if scope else ""
    session.result({"name": hand.name, "scope": scope}, lambda: f"{hand.name} is logged in.{scope_text}")
    if not agreed.tools:
        session.say(f"Next: `maniple mcp add {name}` with the same options, which now shows its tools")
