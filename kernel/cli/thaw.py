"""`maniple thaw` (acts)."""

from kernel.cli.frame import Session, command


@command()
def thaw(session: Session) -> None:
    """Undo the emergency stop: calls pass again, and the services that are wanted start.

    Task runs that the freeze ended are not made again; start them anew.
    """
    with session.client() as client:
        reply = client.call("kernel.thaw").value
    session.result(reply, lambda: "Thawed: calls pass again, and wanted services start.")
