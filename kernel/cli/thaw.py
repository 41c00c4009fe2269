"""`maniple thaw` (acts)."""

from kernel.cli import replies
from kernel.cli.frame import Session, command
from kernel.cli.status import Status


@command()
def thaw(session: Session) -> None:
    """Undo the emergency stop: calls pass again, the services that are wanted start, and runs go on.

    What was unfinished goes on where it was. A run that a call had begun ended with that call, and is not made again.
    """
    with session.client() as client:
        was_frozen = replies.read(client.call("kernel.status").value, Status).frozen
        reply = client.call("kernel.thaw").value
    words = "Thawed: calls pass again, wanted services start, and runs go on."
    session.result(reply, lambda: words if was_frozen else "Nothing was frozen.")
