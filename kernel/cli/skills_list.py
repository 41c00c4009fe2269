"""`maniple skills list` (acts)."""

from kernel.cli import screen, skill_folders
from kernel.cli.frame import Session, command


@command()
def skills_list(session: Session) -> None:
    """List every skill: those installed alone, with the Hands that may read them, and those sealed with a Hand."""
    with session.client() as client:
        by = skill_folders.fetch_readers(client)
        alone = skill_folders.read_installed(client)
        found = [(one, "", by.get(one.name, [])) for one in alone.skills.values()]
        found += [(one, hand, [hand]) for hand, own in skill_folders.read_sealed(client).items() for one in own]
    heads = ("SKILL", "SEALED WITH", "READ BY", "DESCRIPTION")
    cells = [(one.name, hand or "-", ", ".join(readers) or "nobody", one.description) for one, hand, readers in found]
    session.result(
        {"skills": [skill_folders.row_of(one, of=hand, by=readers) for one, hand, readers in found]},
        lambda: screen.table(heads, cells) if cells else "",
        nothing="There is no skill: `maniple skills install DIR` installs one",
    )
    if alone.keyless:
        mend = "`maniple skills install DIR` of one of them seals all of them again"
        session.say(f"{alone.keyless}, so nobody reads what was installed alone: {mend}")
