"""`maniple skills install` (acts)."""

import shlex

import click

from kernel.cli import install, installed, named_files, screen, skill_folders
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from manifests.skills.folder import method_of
from manifests.skills.reading import Skill


@command()
@click.argument("folder", metavar="DIR", type=named_files.PATH)
@click.option("--for", "hands", metavar="HAND", multiple=True, help="Grant it to this Hand.")
@click.option("--yes", is_flag=True, help="Install it without a question.")
def skills_install(session: Session, folder: str, hands: tuple[str, ...], yes: bool) -> None:
    """Install a skill alone, or a changed version of it: looks through its files, shows what it found, asks you, and
    seals it.

    DIR holds SKILL.md, and has the skill's name. What a look finds does not say whether a skill is good or bad. An
    agent reads the skill only if its HAND.toml asks for skills, by "skills.*" = ["*"], and it is granted this one: by
    --for, or by `maniple grant HAND skills.NAME "*"`.

    The skill is copied, and sealed with the home's own key. A file that is changed afterwards is noticed, and not read.
    """
    skill = skill_folders.read(folder)
    with session.client() as client:
        shelf = skill_folders.read_installed(client)
        before = shelf.skills.get(skill.name)
        may = skill_folders.fetch_askers(client, skill.name)
        if wrong := [hand for hand in hands if hand not in may]:
            installed.fetch_details(client, wrong[0])  # raises if it is not installed
            raise Ended(
                f'{wrong[0]} does not ask for skills: write "skills.*" = ["*"] into [capabilities] of its HAND.toml, then '
                f"`maniple install`",
                Exit.USAGE,
            )
        _show(session, skill, before)
        already = skill_folders.fetch_readers(client).get(skill.name, [])
        if already and before:
            session.say(f"It may be read by {', '.join(already)} already.")
        if news := shelf.resealing_note():
            session.say(news)
        if not yes:
            named = [word for hand in hands for word in ("--for", hand)]
            again = shlex.join(["maniple", "skills", "install", folder, *named, "--yes"])
            install.ask_consent(session, "Install it?", again)
            if skill_folders.read_installed(client).version != shelf.version:
                raise Ended(
                    f"{skill.name} was not installed: skills have changed since you were asked; type the same again"
                )
        if before is None:
            skill_folders.revoke_from(client, skill.name, already)
            already = []
        skill_folders.replace_all(client, {**shelf.skills, skill.name: skill}.values(), shelf.version)
        for hand in hands:
            client.call("kernel.grant", hand, {"capabilities": [{"method": method_of(skill.name), "allow": ["*"]}]})
    by = sorted({*already, *hands})
    row = {
        **skill_folders.row_of(skill, by=by),
        "findings": skill_folders.findings(skill),
        "replaced": before is not None,
    }
    session.result(row, lambda: f"{skill.name} is {'replaced' if before else 'installed'}.")
    if not by:
        asks = may[0] if may else "HAND"
        session.say(f'Nobody may read it yet. Next: `maniple grant {asks} {method_of(skill.name)} "*"`')


def _show(session: Session, skill: Skill, before: Skill | None) -> None:
    """Print on stderr what is to be decided."""
    for line in skill_folders.describe(skill):
        session.say(screen.visible(line))
    if before is None:
        return
    changed = [
        f"{path}: {'new' if path not in before.files else 'gone' if path not in skill.files else 'changed'}"
        for path in sorted({*before.files, *skill.files})
        if before.files.get(path) != skill.files.get(path)
    ]
    session.say("A skill of that name is installed; it differs in:" if changed else "It is installed already as it is.")
    for line in changed:
        session.say(f"  {screen.visible(line)}")
