"""`maniple skills remove` (acts)."""

import click

from kernel.cli import skill_folders
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command
from kernel.cli.remove import take_away, was_purged
from manifests.skills.folder import HAND


@command()
@click.argument("name", metavar="NAME")
def skills_remove(session: Session, name: str) -> None:
    """Remove a skill that was installed alone, with every grant of it.

    A later skill of the same name starts without grants. A skill that is sealed with a Hand goes with that Hand.
    """
    with session.client() as client:
        held = skill_folders.installed(client)
        if not held.version and was_purged(session, client, HAND):
            done = "no skill is installed alone any more; what they left is gone now."
            session.result({"name": name, "taken_from": []}, lambda: done)
            return
        if name not in held.skills:
            raise Ended(f"no skill {name} is installed alone: see `maniple skills list`")
        had = skill_folders.readers(client).get(name, [])
        skill_folders.take_back(client, name, had)
        left = [one for one in held.skills.values() if one.name != name]
        if left:
            if news := held.news():
                session.say(news)
            skill_folders.put(client, left, held.version)
    if not left:
        take_away(session, HAND, purge=True)
    session.result({"name": name, "taken_from": had}, lambda: f"{name} is removed.")
