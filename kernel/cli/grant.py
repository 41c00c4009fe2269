"""`maniple grant` (acts)."""

import click

from kernel.cli.frame import Session, command, hand_argument


@command()
@hand_argument
@click.argument("method", metavar="METHOD")
@click.argument("patterns", metavar="PATTERN...", nargs=-1, required=True)
@click.option("--own", is_flag=True, help="For whoever calls it, where its manifest asks for that.")
@click.option(
    "--ask/--without-asking",
    "asks",
    default=None,
    help="Whether you are asked each time; else by manifest and autonomy.",
)
def grant(session: Session, hand: str, method: str, patterns: tuple[str, ...], own: bool, asks: bool | None) -> None:
    """Give a Hand a capability: at most what its sealed manifest asks for.

    PATTERN is what it may use the method on: data/incoming/**, https://*.example.org/**, feeds.example.org:443, a name,
    or * for everything. It holds from the Hand's next call on.
    """
    wanted = {"method": method, "allow": list(patterns), "own": own, "approval": asks}
    with session.client() as client:
        reply = client.call("kernel.grant", hand, {"capabilities": [wanted]}).value
    session.result(reply, lambda: f"{hand} may use {method} on {', '.join(patterns)}.")
