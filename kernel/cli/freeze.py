"""`maniple freeze` (acts)."""

from msgspec import Struct

from kernel.cli import replies, screen
from kernel.cli.frame import Session, command


class Frozen(Struct, frozen=True, kw_only=True):
    """The reply of kernel.freeze. ended: number of runs whose process was ended. recorded: whether that is on disk."""

    ended: int
    recorded: bool = True


@command()
def freeze(session: Session) -> None:
    """Emergency stop: end every run's process now, and let no call pass but the operator's.

    The kernel stays frozen through `maniple down`, `maniple up` and a crash, until `maniple thaw`. Freezing does not
    wait for the disk.
    """
    with session.client() as client:
        reply = client.call("kernel.freeze").value
    found = replies.read(reply, Frozen)
    if not found.recorded:
        session.say("The disk has not taken this: if the kernel ends before it does, the next one is not frozen.")
    runs = screen.count(found.ended, "run")
    session.result(reply, lambda: session.hinted(f"Frozen: {runs} ended. `maniple thaw` undoes this."))
