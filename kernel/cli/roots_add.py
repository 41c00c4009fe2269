"""`maniple roots add` (acts)."""

import os

import click

from kernel.cli.frame import Session, command


@command()
@click.argument("name", metavar="NAME")
@click.argument("folder", metavar="DIR", type=click.Path())
def roots_add(session: Session, name: str, folder: str) -> None:
    """Give a folder a name, by which grants refer to it and Hands name files in it.

    Only Hands that hold a grant on NAME/… reach it, through the Hand `files`. A folder that holds, lies in, or leads to
    the home is refused.
    """
    path = os.path.abspath(folder)
    with session.client() as client:
        reply = client.call("kernel.root-add", name, {"path": path}).value
    session.result(reply, lambda: f"{name} is {path}.")
