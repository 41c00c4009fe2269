"""`maniple pause` (acts)."""

from kernel.cli.frame import Session, command, hand_argument


@command()
@hand_argument
def pause(session: Session, hand: str) -> None:
    """Suspend a Hand: no call from it or to it passes until `maniple resume HAND`.

    Its processes are suspended, and none of its deadlines runs on. It stays paused when the kernel restarts.
    """
    with session.client() as client:
        reply = client.call("kernel.pause", hand).value
    session.result(reply, lambda: session.hinted(f"{hand} is paused; `maniple resume {hand}` lets it go on."))
