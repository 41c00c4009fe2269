"""`maniple thaw` (acts)."""

from kernel.cli import replies
from kernel.cli.frame import Session, command
from kernel.cli.status import Status


@command()
def thaw(session: Session) -> None:
    """Undo the emergency stop: calls pass again, services marked as wanted start, and unfinished runs continue where
    they were.

    A run that a call had started ended with that call when the kernel was frozen, and is not started again.
    """
    with session.client() as client:
        was_frozen = replies.read(client.call("kernel.status").value, Status).frozen
        reply = client.call("kernel.thaw").value
    words = "Thawed: calls pass again, wanted services start, and runs go on."
    session.result(reply, lambda: words if was_frozen else "Nothing was frozen.")
