"""`maniple pipeline remove` (acts)."""

import click

from kernel.cli import installed, pipelines
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command
from kernel.cli.remove import leftovers, remove_hand


@command()
@click.argument("name", metavar="PIPELINE", shell_complete=pipelines.complete_name)
def pipeline_remove(session: Session, name: str) -> None:
    """Remove a pipeline, with its grants, after its runs, and theirs, have ended. The Hands of its steps stay."""
    with session.client() as client:
        if installed.find(client, name) is None and leftovers(session, name):  # those of a Hand, perhaps
            more = f"`maniple remove {name} --purge` removes what an earlier one left"
            raise Ended(f"no pipeline {name!r} is added; {more}")
        pipelines.fetch(client, name)
    remove_hand(session, name, purge=True)
    session.result({"name": name}, lambda: f"{name} is removed.")
