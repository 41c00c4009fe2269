"""`maniple skills remove` (acts)."""

import click

from kernel.cli import skill_folders
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command
from kernel.cli.remove import finish_removal, remove_hand
from manifests.skills.folder import HAND


@command()
@click.argument("name", metavar="NAME")
def skills_remove(session: Session, name: str) -> None:
    """Remove a skill that was installed alone, with every grant of it.

    A later skill of the same name starts without grants. A skill that is sealed with a Hand goes with that Hand.
    """
    with session.client() as client:
        shelf = skill_folders.read_installed(client)
        if not shelf.version and finish_removal(session, client, HAND):
            done = "no skill is installed alone any more; what they left is gone now."
            session.result({"name": name, "taken_from": []}, lambda: done)
            return
        if name not in shelf.skills:
            raise Ended(f"no skill {name} is installed alone: see `maniple skills list`")
        readers = skill_folders.fetch_readers(client).get(name, [])
        skill_folders.revoke_from(client, name, readers)
        rest = [one for one in shelf.skills.values() if one.name != name]
        if rest:
            if news := shelf.resealing_note():
                session.say(news)
            skill_folders.replace_all(client, rest, shelf.version)
    if not rest:
        remove_hand(session, HAND, purge=True)
    session.result({"name": name, "taken_from": readers}, lambda: f"{name} is removed.")
