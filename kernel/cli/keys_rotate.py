"""`maniple keys rotate` (acts)."""

import click

from kernel.cli import bundled, founding, keyfile, logbook
from kernel.cli.frame import Session, command


@command()
@click.argument("old", metavar="ID")
@click.argument("key", metavar="KEY")
def keys_rotate(session: Session, old: str, key: str) -> None:
    """Trust a new key in the place of an old one, with its rights. ID is the old one's, as `maniple keys` shows it.

    What the old one sealed does not start any more: seal it anew, and install it again. The one that stands in for this
    home's own key is its own then, and alone may seal the bundled Hands.
    """
    public = keyfile.public(key)
    is_own = logbook.trust(session.home).is_own(old)
    with session.client() as client:
        reply = client.call("kernel.key-rotate", old, {"key": public.text()}).value
    session.result(reply, lambda: f"{public.name}+{public.id} stands in for {old}, which counts no more.")
    if is_own:
        session.say(
            f"It was this home's own. Put the new one's secret half in the place of {founding.seal_key_path(session.home)}, "
            f"that this home seals with it; then install the bundled Hands again: `maniple install {bundled.HANDS}/NAME`."
        )
