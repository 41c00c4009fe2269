"""`maniple install --bundled` (acts): the installed bundled Hands that are another version's become this one's."""

from typing import Final

from kernel.cli import bundled, compiling, install, installed, installing, screen
from kernel.cli.call import every
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NoKernel
from kernel.cli.frame import Session
from kernel.cli.package import Folder
from manifests.seal import lists, signers

AGAIN: Final = "maniple install --bundled"


def renew(session: Session, *, yes: bool, full: bool) -> None:
    """Show what each asks for that is new, ask once, and install them, those first that others need.

    One that the kernel does not take does not keep the rest from it. Raises Ended then, when those are installed.
    """
    with session.client() as client:
        others = _others(session, client)
        methods = every(client) if others else ()
        shown = [install.propose(session, client, found, methods, yes=yes, full=full) for found in others]
        if shown and not yes:
            names = screen.listed([found.name for found in others])
            unread = "\n".join(one.unread for one in shown if one.unread)
            install.ask_consent(session, names, "Install them, and grant that?", f"{AGAIN} --yes", unread)
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
    told = {"installed": rows, "failed": {name: str(error) for name, error in failed.items()}}
    session.result(told, lambda: "\n".join(map(install.summary, done)), nothing=nothing)
    if failed:
        code = Exit.REFUSED if all(one.code is Exit.REFUSED for one in failed.values()) else Exit.FAILED
        raise Ended(f"{', '.join(failed)}: not installed; mend what is named above, then `{AGAIN}`", code)


def _others(session: Session, client: Client) -> list[Folder]:
    """Those of which something else is installed than lies here, or that another key than the home's own has sealed."""
    there, key = {row.name for row in installed.list_hands(client)}, installing.sealing_key(client).verify_key.id
    found, left_out = bundled.find()
    for name in sorted(there & left_out.keys()):
        session.say(f"{name} is left as it is: {left_out[name]}")
    return [folder for folder in found if folder.name in there and not _is_ours(client, folder, key)]


def _is_ours(client: Client, folder: Folder, key: str) -> bool:
    seal = installed.fetch_details(client, folder.name).hand.package.seal
    return lists(seal, folder.digests()) and key in {one for _, one in signers(seal)}
