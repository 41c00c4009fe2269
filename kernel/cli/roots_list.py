"""`maniple roots list` (acts)."""

from kernel.cli import replies, rights, screen
from kernel.cli.frame import Session, command


@command()
def roots_list(session: Session) -> None:
    """List the named folders. Paths that Hands use begin with such a name: data in data/report.csv."""
    with session.client() as client:
        roots = replies.read(client.call("kernel.home").value, rights.Home).roots
    session.result(
        {"roots": roots},
        lambda: screen.table(("ROOT", "FOLDER"), sorted(roots.items())) if roots else "",
        nothing="No folder has a name yet: `maniple roots add NAME DIR` gives one",
    )
