"""`maniple keys rotate` (acts)."""

import shlex
import time
from itertools import pairwise

import click

from kernel.cli import founding, keyfile, logbook, replies
from kernel.cli.confirming import confirm
from kernel.cli.frame import Session, command
from kernel.cli.keys_list import KeyReply, row_of
from manifests.trust import TrustedKey, TrustStore


@command()
@click.argument("old", metavar="ID")
@click.argument("key", metavar="KEY")
@click.option("--yes", is_flag=True, help="Do not ask.")
def keys_rotate(session: Session, old: str, key: str, yes: bool) -> None:
    """Trust a new key in place of an old one, with its rights. ID is the old key's, as `maniple keys` shows it.

    What the old key sealed no longer starts: seal it and install it again. If the old key was this home's own, the new
    one becomes that, and only it may seal the bundled Hands.
    """
    public = keyfile.parse_public(key)
    trust = logbook.trusted_keys(session.home)
    done = _find_replacement(trust, public.id, old)
    is_own = trust.is_own(public.id if done else old)
    if done is None:
        if not yes and trust.find(old).revoked is None:  # else the rotation stops nothing
            which = f"{old}, which is this home's own" if is_own else old
            again = shlex.join(["maniple", "keys", "rotate", old, key])
            confirm(
                f"Stop everything that is sealed by {which}, until it is sealed again?", again, yes=yes, done="rotated"
            )
        with session.client() as client:
            done = replies.read(client.call("kernel.key-rotate", old, {"key": public.text()}).value, KeyReply).key
    row = {**row_of(done, time.time_ns() // 1000), "instead": old}
    session.result(row, lambda: f"{public.name}+{public.id} replaces {old}, which is no longer trusted.")
    if is_own:
        session.say(
            f"It was this home's own. Put the new secret key in the place of {founding.seal_key_path(session.home)}, "
            "so that this home seals with it; then install the bundled Hands again: `maniple install --bundled`."
        )


def _find_replacement(trust: TrustStore, new: str, old: str) -> TrustedKey | None:
    """The new key if it has already replaced the old one, as after an earlier command that was killed; else None."""
    for one, behind in pairwise(trust.keys):
        if (one.id, behind.id, one.revoked) == (new, old, None) and behind.revoked is not None:
            return one
    return None
