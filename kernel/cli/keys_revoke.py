"""`maniple keys revoke` (acts)."""

import time

import click

from kernel.cli import logbook, replies
from kernel.cli.confirming import confirm
from kernel.cli.frame import Session, command
from kernel.cli.keys_list import KeyReply, row_of


@command()
@click.argument("key_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
def keys_revoke(session: Session, key_id: str, yes: bool) -> None:
    """Revoke a key for ever: what it sealed stops now, and does not start again.

    ID is the key's, as `maniple keys` shows it. A revoked key cannot be trusted again.
    """
    trust = logbook.trusted_keys(session.home)
    if not yes:
        trust.find(key_id)  # raises if it was never trusted: then there is nothing to ask
    is_own = trust.is_own(key_id)
    which = f"{key_id}, which is this home's own," if is_own else key_id
    confirm(f"Revoke key {which} for ever?", f"maniple keys revoke {key_id}", yes=yes, done="revoked")
    with session.client() as client:
        gone = replies.read(client.call("kernel.key-revoke", key_id).value, KeyReply).key
    session.result(row_of(gone, time.time_ns() // 1000), lambda: f"{key_id} is revoked.")
    if is_own:
        session.say(
            "It was this home's own: nothing that it sealed starts any more, not even the bundled Hands. To make another: "
            f"`maniple keys new FILE --name NAME`, then `maniple keys rotate {key_id} FILE.pub`."
        )
