"""`maniple restart` (acts)."""

from kernel.cli.frame import Session, command, hand_argument


@command()
@hand_argument
def restart(session: Session, hand: str) -> None:
    """Stop a service and start it again. Returns when it is ready.

    Calls that wait for it go to the new process. A task Hand has a new process for each run: `maniple start HAND`.
    """
    with session.client() as client:
        reply = client.call("kernel.restart", hand, seconds=120).value
    session.result(reply, lambda: f"{hand} is ready again.")
