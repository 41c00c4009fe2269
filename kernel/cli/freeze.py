"""`maniple freeze` (acts)."""

from msgspec import Struct

from kernel.cli import replies, screen
from kernel.cli.frame import Session, command


class Frozen(Struct, frozen=True, kw_only=True):
    """kernel.freeze. ended: runs whose process was ended."""

    ended: int


@command()
def freeze(session: Session) -> None:
    """Emergency stop: every run's process is ended now, and no call but the operator's passes.

    It holds through `maniple down`, `maniple up` and a crash, until `maniple thaw`. It waits for no disk.
    """
    with session.client() as client:
        reply = client.call("kernel.freeze").value
    ended = replies.read(reply, Frozen).ended
    runs = screen.count(ended, "run")
    session.result(reply, lambda: session.hinted(f"Frozen: {runs} ended. `maniple thaw` lets things go on."))
