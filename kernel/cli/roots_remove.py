"""`maniple roots remove` (acts)."""

import click

from kernel.cli.frame import Session, command


@command()
@click.argument("name", metavar="NAME")
def roots_remove(session: Session, name: str) -> None:
    """Remove a folder's name: no Hand reaches the folder any more. The folder itself is not changed."""
    with session.client() as client:
        reply = client.call("kernel.root-remove", name).value
    session.result(reply, lambda: f"{name} no longer names a folder.")
