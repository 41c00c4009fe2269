"""`maniple keys new` (acts)."""

import shlex

import click

from kernel.cli import keyfile, named_files
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from wire.errors import NoteMalformed


@command()
@click.argument("file", metavar="FILE", type=named_files.PATH)
@click.option(
    "--name", metavar="NAME", required=True, help="Whose key it is, such as example.org/ada; no spaces, no +."
)
def keys_new(session: Session, file: str, name: str) -> None:
    """Make a key pair for sealing Hands: FILE is the secret key, FILE.pub the verifier key to give to others.

    No home trusts it yet: whoever installs what it seals types `maniple keys add FILE.pub --hands PATTERN`.
    """
    try:
        public = keyfile.write_pair(file, name)
    except NoteMalformed as error:
        raise Ended(f"--name: {error}", Exit.USAGE) from None
    session.result({"file": file, "key": public.text(), "id": public.id}, public.text)
    session.say(f"Keep {file} secret. Seal with it: `maniple seal DIR --key {shlex.quote(file)}`")
