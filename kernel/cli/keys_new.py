"""`maniple keys new` (acts)."""

import shlex

import click

from kernel.cli import keyfile, named_files
from kernel.cli.frame import Session, command


@command()
@click.argument("file", metavar="FILE", type=named_files.PATH)
@click.option(
    "--name", metavar="NAME", required=True, help="Whose key it is, such as example.org/ada; no spaces, no +."
)
def keys_new(session: Session, file: str, name: str) -> None:
    """Make a key pair for sealing Hands: FILE is the secret half, FILE.pub the verifier key to give to others.

    Nothing is trusted by that: whoever installs what it seals says `maniple keys add` with FILE.pub.
    """
    public = keyfile.write(file, name)
    session.result({"file": file, "key": public.text(), "id": public.id}, public.text)
    session.say(f"Keep {file} secret. Seal with it: `maniple seal DIR --key {shlex.quote(file)}`")
