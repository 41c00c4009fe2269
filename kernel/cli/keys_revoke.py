"""`maniple keys revoke` (acts)."""

from contextlib import suppress

import click

from kernel.cli import founding
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command
from kernel.cli.sure import make_sure


@command()
@click.argument("key_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
def keys_revoke(session: Session, key_id: str, yes: bool) -> None:
    """Trust a key no more, for ever: what it sealed stops now, and does not start again.

    ID is the key's, as `maniple keys` shows it. A revoked key cannot be trusted again.
    """
    is_own = _is_own(session, key_id)
    which = f"{key_id}, which is this home's own," if is_own else key_id
    make_sure(f"Trust key {which} no more, for ever?", f"maniple keys revoke {key_id}", yes=yes, done="revoked")
    with session.client() as client:
        reply = client.call("kernel.key-revoke", key_id).value
    session.result(reply, lambda: f"{key_id} is revoked.")
    if is_own:
        session.say(
            "It was this home's own, so nothing that it sealed starts any more, the bundled Hands too. To seal anew: "
            "`maniple keys new FILE`, `maniple keys add FILE.pub --hands '*'`, then `maniple seal DIR --key FILE` and "
            "`maniple install DIR`."
        )


def _is_own(session: Session, key_id: str) -> bool:
    """Whether it is the key with which this home seals unless it is told otherwise."""
    with suppress(Ended):
        return founding.sealing_key_of(session.home).verify_key.id == key_id
    return False
