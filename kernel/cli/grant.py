"""`maniple grant` (acts)."""

import click
from msgspec import Struct

from kernel.cli import replies
from kernel.cli.frame import Session, command, hand_argument
from manifests.schema import Capability


class _Done(Struct, frozen=True):
    """The reply of kernel.grant."""

    capabilities: tuple[Capability, ...]


@command()
@hand_argument
@click.argument("method", metavar="METHOD")
@click.argument("patterns", metavar="PATTERN...", nargs=-1, required=True)
@click.option("--own", is_flag=True, help="Let it do so on behalf of any caller, if its manifest asks for that.")
@click.option(
    "--ask/--without-asking",
    "asks",
    default=None,
    help="Ask you each time, or never; by default, manifest and autonomy decide.",
)
def grant(session: Session, hand: str, method: str, patterns: tuple[str, ...], own: bool, asks: bool | None) -> None:
    """Give a Hand a capability: at most what its sealed manifest asks for.

    PATTERN says on what it may use the method: data/incoming/**, https://*.example.org/**, feeds.example.org:443, a
    name, or * for everything. It counts from the Hand's next call on; `maniple revoke` takes it back.
    """
    wanted = {"method": method, "allow": list(patterns), "own": own, "approval": asks}
    with session.client() as client:
        reply = client.call("kernel.grant", hand, {"capabilities": [wanted]}).value
    granted = replies.read(reply, _Done).capabilities
    session.result({"name": hand, "granted": granted}, lambda: f"{hand} may use {method} on {', '.join(patterns)}.")
