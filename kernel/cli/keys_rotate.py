"""`maniple keys rotate` (acts)."""

import click

from kernel.cli import keyfile
from kernel.cli.frame import Session, command


@command()
@click.argument("old", metavar="ID")
@click.argument("key", metavar="KEY")
def keys_rotate(session: Session, old: str, key: str) -> None:
    """Trust a new key in the place of an old one, with its rights. ID is the old one's, as `maniple keys` shows it.

    What the old one sealed does not start any more: seal it anew, and install it again.
    """
    public = keyfile.public(key)
    with session.client() as client:
        reply = client.call("kernel.key-rotate", old, {"key": public.text()}).value
    session.result(reply, lambda: f"{public.name}+{public.id} stands in for {old}, which counts no more.")
