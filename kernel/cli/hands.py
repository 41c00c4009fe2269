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
        lambda: session.hinted(drawn(replies.read(reply, replies.Hands))),
        nothing="No Hand is installed: `maniple install DIR`",
    )


def drawn(rows: replies.Hands) -> str:
    """The table, and below it what keeps Hands from starting: a sentence of some length, mostly of many at once."""
    if not rows.hands:
        return ""
    held = [hand for hand in rows.hands if hand.why and hand.state != "quarantined"]
    table = screen.table(
        ("HAND", "VERSION", "KIND", "STATE", "WANTED", "WHAT IT DOES"),
        (
            (
                hand.name, hand.version, hand.kind, hand.state, "yes" if hand.wanted else "",
                hand.why if hand.why and hand not in held else hand.description,
            )
            for hand in rows.hands
        ),
        colour_of="STATE",
    )  # fmt: skip
    return "\n\n".join(filter(None, (table, "\n".join(_held_back(held)))))


def _held_back(held: list[replies.HandRow]) -> list[str]:
    """What keeps these from starting, and what mends it."""
    if not held:
        return []
    from manifests.judging import BUNDLED  # heavy, and seldom needed

    ours = [hand.name for hand in held if hand.name in BUNDLED]
    lines = [f"{_do_not_start(ours)}: `maniple install --bundled` installs {_them(ours)} again."] if ours else []
    if others := [hand for hand in held if hand.name not in BUNDLED]:
        first, *more = others
        rest = [hand.name for hand in more]
        also = f"; `maniple hands --json` says why {_do_not_start(rest)} either" if more else ""
        lines.append(f"{first.name}: {screen.visible(first.why)}{also}.")
    return lines


def _do_not_start(names: list[str]) -> str:
    return f"{screen.listed(names)} {'does' if len(names) == 1 else 'do'} not start"


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
