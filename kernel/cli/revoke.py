"""`maniple revoke` (acts)."""

import click

from kernel.cli import replies, rights, screen
from kernel.cli.frame import Session, command, hand_argument
from manifests.grants import as_text


@command()
@hand_argument
@click.argument("method", metavar="METHOD")
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1)
@click.option("--rule", is_flag=True, help="Only the rules of `maniple approve --rule`: you are asked again.")
def revoke(session: Session, hand: str, method: str, patterns: tuple[str, ...], rule: bool) -> None:
    """Take a capability back: a whole method, or only the patterns that you name.

    METHOD may be `web.*`, for all methods that begin so. It counts from the Hand's next call on, and also removes the
    rules by which you are not asked. `maniple grant` gives a capability back, but no rules.
    """
    with session.client() as client:
        client.call("kernel.revoke", hand, {"method": method, "allow": list(patterns) or None, "rule": rule})
        left = replies.read(client.call("kernel.home").value, rights.Home).grants.get(hand, ())
    rows = [f"  {screen.visible(as_text(one))}" for one in left]
    text = "\n".join(["still holds:", *rows]) if rows else "holds nothing now."
    session.result({"name": hand, "left": left}, lambda: f"Taken back. {hand} {text}")
