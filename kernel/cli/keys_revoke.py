"""`maniple keys revoke` (acts)."""

import click

from kernel.cli.frame import Session, command
from kernel.cli.sure import make_sure


@command()
@click.argument("key_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
def keys_revoke(session: Session, key_id: str, yes: bool) -> None:
    """Trust a key no more, for ever: what it sealed stops now, and does not start again.

    ID is the key's, as `maniple keys` shows it. A revoked key cannot be trusted again.
    """
    make_sure(f"Trust key {key_id} no more, for ever?", f"maniple keys revoke {key_id}", yes=yes, done="revoked")
    with session.client() as client:
        reply = client.call("kernel.key-revoke", key_id).value
    session.result(reply, lambda: f"{key_id} is revoked.")
