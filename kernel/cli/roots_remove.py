"""`maniple roots remove` (acts)."""

import click

from kernel.cli.frame import Session, command


@command()
@click.argument("name", metavar="NAME")
def roots_remove(session: Session, name: str) -> None:
    """Take a folder's name back: no Hand reaches it any more. The folder itself stays as it is."""
    with session.client() as client:
        reply = client.call("kernel.root-remove", name).value
    session.result(reply, lambda: f"{name} is no name of a folder any more.")
