"""`maniple resume` (acts)."""

from kernel.cli import installed
from kernel.cli.frame import Session, command, hand_argument


@command()
@hand_argument
def resume(session: Session, hand: str) -> None:
    """Let a paused Hand continue where it was.

    If it is a service marked as wanted, it starts again.
    """
    with session.client() as client:
        was_paused = any(row.name == hand and row.state == "paused" for row in installed.list_hands(client))
        reply = client.call("kernel.resume", hand).value
    session.result(reply, lambda: f"{hand} goes on." if was_paused else f"{hand} was not paused.")
