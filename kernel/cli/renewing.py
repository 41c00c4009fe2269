"""`maniple install --bundled` (acts): upgrades the installed bundled Hands to this version of Maniple."""

from typing import Final

from kernel.cli import bundled, compiling, install, installed, installing
from kernel.cli.call import fetch_methods
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NoKernel
from kernel.cli.frame import Session
from kernel.cli.package import Folder
from manifests.seal import lists, signers

COMMAND: Final = "maniple install --bundled"


def upgrade_bundled(session: Session, *, yes: bool, full: bool) -> None:
    """Show what each Hand newly asks for, ask once, and install them, each after the Hands it needs.

    If the kernel refuses one, the others are still installed; then Ended is raised.
    """
    with session.client() as client:
        outdated = _outdated(session, client)
        methods = fetch_methods(client) if outdated else ()
        shown = [install.propose(session, client, found, methods, yes=yes, full=full) for found in outdated]
        if shown and not yes:
            unread = "\n".join(one.unread for one in shown if one.unread)
            question = "Install them, and grant that?" if any(one.wanted for one in shown) else "Install them?"
            install.ask_consent(session, question, f"{COMMAND} --yes", unread)
        rows, done, failed = list[dict[str, object]](), list[install.Proposal](), dict[str, Ended]()
        for one in shown:
            try:
                rows.append(install.install_proposal(session, client, one))
                done.append(one)
            except NoKernel:
                raise
            except Ended as error:
                failed[one.found.name] = error
                session.say(f"{one.found.name} was not installed: {error}")
        compiling.remove_unused(client)
    nothing = "" if shown else "Every bundled Hand that is installed is of this version."
    result = {"installed": rows, "failed": {name: str(error) for name, error in failed.items()}}
    session.result(result, lambda: "\n".join(map(install.summary, done)), nothing=nothing)
    if failed:
        code = Exit.REFUSED if all(one.code is Exit.REFUSED for one in failed.values()) else Exit.FAILED
        raise Ended(f"{', '.join(failed)}: not installed; mend what is named above, then `{COMMAND}`", code)


def _outdated(session: Session, client: Client) -> list[Folder]:
    """Bundled Hands installed with other files than those here, or sealed by another key than the home's own."""
    installed_names, key = (
        {row.name for row in installed.list_hands(client)},
        installing.sealing_key(client).verify_key.id,
    )
    found, left_out = bundled.find()
    for name in sorted(installed_names & left_out.keys()):
        session.say(f"{name} is left as it is: {left_out[name]}")
    return [folder for folder in found if folder.name in installed_names and not _is_ours(client, folder, key)]


def _is_ours(client: Client, folder: Folder, key: str) -> bool:
    seal = installed.fetch_details(client, folder.name).hand.package.seal
    return lists(seal, folder.digests()) and key in {one for _, one in signers(seal)}
