"""`maniple keys revoke` (acts)."""

import click

from kernel.cli.frame import Session, command


@command()
@click.argument("key_id", metavar="ID")
def keys_revoke(session: Session, key_id: str) -> None:
    """Trust a key no more, for ever: what it sealed stops now, and does not start again.

    ID is the key's, as `maniple keys` shows it. A revoked key cannot be trusted again.
    """
    with session.client() as client:
        reply = client.call("kernel.key-revoke", key_id).value
    session.result(reply, lambda: f"{key_id} is revoked.")
