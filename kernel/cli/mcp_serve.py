"""`maniple mcp serve` (acts)."""

import os
import sys

import click

from kernel.cli import mcp_doors
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from manifests.mcp import door
from wire import limits


@command(json=False)
@click.argument("name", metavar="NAME")
def mcp_serve(session: Session, name: str) -> None:
    """Let MCP clients call what `maniple mcp offer` chose: the client starts this, and talks on its standard streams.

    It goes on until the client closes them. Each call is the door's own: checked, logged, and held for your yes as every
    Hand's. In a client's settings:

        {"mcpServers": {"maniple": {"command": "maniple", "args": ["mcp", "serve", "desk"]}}}
    """
    if sys.stdin is None or sys.stdout is None:
        raise Ended("a client talks on standard input and output, and these are closed", Exit.USAGE)
    with session.client() as client:
        hand = mcp_doors.needed(client, name)
        client.call(
            f"{hand.name}.{door.TALK}",
            seconds=limits.DEADLINE_MAX / 1000,
            upload=sys.stdin.buffer,
            chunk=_write,
            labels=(door.MARK,),
        )


def _write(piece: bytes) -> None:
    """To the client. Raises BrokenPipeError when it has gone."""
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(1, rest) :]
