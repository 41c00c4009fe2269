"""`maniple thaw` (acts)."""

from kernel.cli.frame import Session, command


@command()
def thaw(session: Session) -> None:
    """Undo the emergency stop: calls pass again, the services that are wanted start, and runs go on.

    What was unfinished goes on where it was. A run that a call had begun ended with that call, and is not made again.
    """
    with session.client() as client:
        reply = client.call("kernel.thaw").value
    session.result(reply, lambda: "Thawed: calls pass again, wanted services start, and runs go on.")
