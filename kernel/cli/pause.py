"""`maniple pause` (acts)."""

from kernel.cli.frame import Session, command, hand_argument


@command()
@hand_argument
def pause(session: Session, hand: str) -> None:
    """Let a Hand stand still: no call from it or to it passes until it is resumed.

    Its processes stand still where they are, and no deadline of theirs runs on. It stays paused through restarts.
    """
    with session.client() as client:
        reply = client.call("kernel.pause", hand).value
    session.result(reply, lambda: session.hinted(f"{hand} is paused; `maniple resume {hand}` lets it go on."))
