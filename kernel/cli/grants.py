"""`maniple grants` (acts)."""

import click

from kernel.cli import rights, screen, told
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command, hand_names
from manifests.schema import Capability


@command()
@click.argument("hand", metavar="[HAND]", required=False, shell_complete=hand_names)
def grants(session: Session, hand: str | None) -> None:
    """Who holds what: each Hand's methods, on what it may use them, and whether for whoever calls it (own),
    or only for the runs that it spawns (lent).

    A grant on files begins with the name of a root: see `maniple roots`. Take one back with `maniple revoke`.
    """
    with session.client() as client:
        held = told.read(client.call("kernel.home").value, rights.Home).grants
    if hand is not None:
        if hand not in held:
            raise Ended(f"no Hand '{hand}' is installed: see `maniple hands`", Exit.USAGE)
        held = {hand: held[hand]}
    session.result({"grants": held}, lambda: _drawn(held))


def _drawn(held: dict[str, tuple[Capability, ...]]) -> str:
    rows = [
        (name, one.method, ", ".join(one.allow), "yes" if one.own else "lent" if one.lent else "")
        for name, capabilities in sorted(held.items())
        for one in sorted(capabilities, key=lambda one: one.method)
    ]
    return screen.table(("HAND", "METHOD", "ON", "OWN"), rows) if rows else ""
