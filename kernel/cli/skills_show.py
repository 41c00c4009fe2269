"""`maniple skills show` (acts)."""

import os

import click

from kernel.cli import screen, skill_folders
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command
from manifests.skills.reading import Skill
from manifests.suggestions import did_you_mean, nearest


@command()
@click.argument("name", metavar="NAME")
def skills_show(session: Session, name: str) -> None:
    """Show one skill in full: its metadata, its files, what a look through them finds, and its text.

    NAME is a skill that is installed alone, HAND/NAME one that is sealed with a Hand. A folder, such as ./NAME, is only
    looked at, which needs no kernel.
    """
    skill, of, by = _find(session, name)
    row = {**skill_folders.row_of(skill, of=of, by=by), "findings": skill_folders.findings(skill), "body": skill.body}
    session.result(row, lambda: "\n".join(_drawn(skill)))


def _find(session: Session, name: str) -> tuple[Skill, str, list[str]]:
    """Find a skill; returns it, the Hand that it is sealed with ("" for none), and who may read it."""
    if name.startswith((".", os.sep)):
        return skill_folders.read(name), "", []
    with session.client() as client:
        hand, _, own = name.partition("/")
        if own:
            for one in skill_folders.read_sealed(client, hand):
                if one.name == own:
                    return one, hand, [hand]
            raise Ended(f"no skill {own} is sealed with {hand}: see `maniple skills list`; ./{name} is the folder")
        skills = skill_folders.read_installed(client).skills
        if (found := skills.get(name)) is None:
            meant = did_you_mean(nearest(name, skills))
            raise Ended(f"no skill {name} is installed alone{meant}: see `maniple skills list`; ./{name} is the folder")
        return found, "", skill_folders.fetch_readers(client).get(name, [])


def _drawn(skill: Skill) -> list[str]:
    lines = [screen.visible(line) for line in skill_folders.describe(skill)]
    lines += [
        "Its files:",
        *(f"  {screen.visible(path)}  {screen.size(len(raw))}" for path, raw in skill.files.items()),
    ]
    return [*lines, "", *map(screen.visible, skill.body.strip("\n").split("\n"))]
