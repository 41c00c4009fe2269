"""`maniple skills list` (acts)."""

from kernel.cli import installed, screen, skill_folders
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command


@command()
def skills_list(session: Session) -> None:
    """List every skill: those installed alone, with the Hands that may read them, and those sealed with a Hand."""
    with session.client() as client:
        readers = skill_folders.fetch_readers(client)
        alone = skill_folders.read_installed(client)
        found = [(one, "", readers.get(one.name, [])) for one in alone.skills.values()]
        unreadable: dict[str, str] = {}
        for hand in (row.name for row in installed.list_hands(client) if row.kind == "task"):
            try:
                found += [(one, hand, [hand]) for one in skill_folders.read_sealed(client, hand)]
            except Ended as error:
                unreadable[hand] = str(error)
    heads = ("SKILL", "SEALED WITH", "READ BY", "DESCRIPTION")
    cells = [(one.name, of or "-", ", ".join(by) or "nobody", one.description) for one, of, by in found]
    session.result(
        {"skills": [skill_folders.row_of(one, of=of, by=by) for one, of, by in found], "unreadable": unreadable},
        lambda: screen.table(heads, cells) if cells else "",
        nothing="There is no skill: `maniple skills install DIR` installs one",
    )
    for hand, why in unreadable.items():
        session.say(f"{hand} is not read: {why}")
    if alone.keyless:
        mend = "`maniple skills install DIR` of one of them seals all of them again"
        session.say(f"{alone.keyless}, so nobody reads what was installed alone: {mend}")
