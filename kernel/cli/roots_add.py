"""`maniple roots add` (acts)."""

import errno
import os
import shlex
import stat

import click

from kernel.cli import named_files, replies, rights
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from manifests.capabilities.path import is_root


@command()
@click.argument("name", metavar="NAME")
@click.argument("folder", metavar="DIR", type=named_files.PATH)
def roots_add(session: Session, name: str, folder: str) -> None:
    """Give a folder a name, by which grants and Hands refer to the files in it.

    Only Hands with a grant on NAME/… reach it, through the Hand `files`. A folder that contains the home, lies in it,
    or leads to it is refused.
    """
    if not is_root(name):
        raise Ended(
            f"{name!r} is not a name for a root: write small letters and digits, and - between; see `maniple roots`",
            Exit.USAGE,
        )
    path = os.path.abspath(folder)
    try:
        kind = os.stat(path).st_mode
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            makes = f"`mkdir -p {shlex.quote(path)}` makes it"
            raise Ended(f"there is no folder {path!r}: make it first, or name another; {makes}") from None
        raise named_files.unreadable(folder, error, Exit.FAILED) from None
    if not stat.S_ISDIR(kind):
        raise Ended(f"{folder} is not a folder: name the one that it lies in, {os.path.dirname(path)}", Exit.USAGE)
    if not os.access(path, os.R_OK | os.X_OK):
        raise named_files.unreadable(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)), Exit.FAILED)
    with session.client() as client:
        before = replies.read(client.call("kernel.home").value, rights.Home).roots.get(name, path)
        reply = client.call("kernel.root-add", name, {"path": path}).value
    session.result(reply, lambda: f"{name} is {path}.")
    if before != path:
        session.say(f"{name} was {before} until now: whoever holds a grant on {name} reaches the new folder.")
