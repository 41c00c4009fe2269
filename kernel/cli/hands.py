"""`maniple hands` (acts)."""

from kernel.cli import replies, screen
from kernel.cli.frame import Session, command


@command()
def hands(session: Session) -> None:
    """List the installed Hands, and the state of each now.

    A service starts at its first call. One marked as wanted stays up, and starts with the kernel. `maniple show HAND`
    shows one Hand in full.
    """
    with session.client() as client:
        reply = client.call("kernel.hands").value
    session.result(
        reply, lambda: _drawn(replies.read(reply, replies.Rows)), nothing="No Hand is installed: `maniple install DIR`"
    )


def _drawn(rows: replies.Rows) -> str:
    if not rows.hands:
        return ""
    return screen.table(
        ("HAND", "VERSION", "KIND", "STATE", "WANTED", "WHAT IT DOES"),
        (
            (hand.name, hand.version, hand.kind, hand.state, "yes" if hand.wanted else "", hand.why or hand.description)
            for hand in rows.hands
        ),
        colour_of="STATE",
    )
