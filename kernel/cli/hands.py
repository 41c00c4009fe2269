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
        reply,
        lambda: session.hinted(draw_table(replies.read(reply, replies.Hands))),
        nothing="No Hand is installed: `maniple install DIR`",
    )


def draw_table(rows: replies.Hands) -> str:
    """Draw the table of Hands, and below it why some cannot start: that sentence is long, and usually concerns many."""
    if not rows.hands:
        return ""
    blocked = [hand for hand in rows.hands if hand.why and hand.state != "quarantined"]
    table = screen.table(
        ("HAND", "VERSION", "KIND", "STATE", "WANTED", "WHAT IT DOES"),
        (
            (
                hand.name, hand.version, hand.kind, hand.state, "yes" if hand.wanted else "",
                hand.why if hand.why and hand not in blocked else hand.description,
            )
            for hand in rows.hands
        ),
        colour_of="STATE",
    )  # fmt: skip
    return "\n\n".join(filter(None, (table, "\n".join(_blocked_lines(blocked)))))


def _blocked_lines(blocked: list[replies.HandRow]) -> list[str]:
    """Lines on why these Hands cannot start, and how to mend it."""
    if not blocked:
        return []
    from manifests.judging import BUNDLED  # imported late: large, and seldom needed
    from manifests.skills.folder import HAND as SKILLS

    bundled = BUNDLED - {SKILLS}  # a kept name, but not in the project's hands/
    ours = [hand.name for hand in blocked if hand.name in bundled]
    lines = [f"{_not_starting(ours)}: `maniple install --bundled` installs {_them(ours)} again."] if ours else []
    if others := [hand for hand in blocked if hand.name not in bundled]:
        first, *more = others
        rest = [hand.name for hand in more]
        also = f"; `maniple hands --json` says why {_not_starting(rest)} either" if more else ""
        lines.append(f"{first.name}: {screen.visible(first.why)}{also}.")
    return lines


def _not_starting(names: list[str]) -> str:
    return f"{screen.listed(names)} {'does' if len(names) == 1 else 'do'} not start"


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
