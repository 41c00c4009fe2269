"""`maniple mcp serve` (acts)."""

import os
import sys

import click

from kernel.cli import mcp_doors, standard_input
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from kernel.cli.installed import Installed
from kernel.cli.usage_errors import WholeNumber
from manifests.mcp import door
from wire import limits


@command()
@click.argument("name", metavar="NAME")
@click.option(
    "--port",
    metavar="PORT",
    type=WholeNumber(0, 65535),
    help="Listen on this port of 127.0.0.1, by streamable HTTP; 0 takes a free one.",
)
@click.option("--new-token", is_flag=True, help="Make another token; the old one is no longer accepted.")
def mcp_serve(session: Session, name: str, port: int | None, new_token: bool) -> None:
    """Serve MCP clients what `maniple mcp offer` chose: the client starts this command, and uses its stdin and stdout.

    It ends when the client closes them. Each call is the door's own: checked, logged, and held for your yes like that
    of any Hand. In a client's settings:

        {"mcpServers": {"maniple": {"command": "maniple", "args": ["mcp", "serve", "desk"]}}}

    With --port it listens until you end it. A client must send the token from the file that is named, as
    `Authorization: Bearer TOKEN`. Only you can read that file.
    """
    if new_token and port is None:
        raise Ended("--new-token is for --port: on standard streams there is no token", Exit.USAGE)
    with session.client() as client:
        hand = mcp_doors.require_installed(client, name)
        if port is not None:
            _listen(session, client, hand, port, renew=new_token)
            return
        if session.json:
            raise Ended("--json is for --port: on standard streams the client talks", Exit.USAGE)
        if sys.stdout is None:
            raise Ended("a client is answered on standard output, and this is closed", Exit.USAGE)
        client.call(
            f"{hand.name}.{door.TALK}",
            seconds=limits.DEADLINE_MAX / 1000,
            upload=standard_input.stream(),
            chunk=_write,
            labels=(door.MARK,),
        )


def _listen(session: Session, client: Client, hand: Installed, port: int, *, renew: bool) -> None:
    from kernel.cli import mcp_listening

    file, token = mcp_listening.load_token(session.home, hand.id, renew=renew)
    with mcp_listening.bind(port) as listener:
        url = f"http://{mcp_listening.HOST}:{listener.getsockname()[1]}/mcp"
        session.result({"url": url, "token_file": file}, lambda: url)
        session.say(f"Clients send `Authorization: Bearer TOKEN`, with the token in {file}. End it with Ctrl-C.")
        mcp_listening.DoorPort(session, hand.name, listener, token).serve(client)


def _write(piece: bytes) -> None:
    """Write to the client on stdout. Raises BrokenPipeError if it has gone."""
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(1, rest) :]
