"""`maniple pipeline remove` (acts)."""

import click

from kernel.cli import pipelines
from kernel.cli.frame import Session, command
from kernel.cli.remove import take_away


@command()
@click.argument("name", metavar="PIPELINE", shell_complete=pipelines.names)
def pipeline_remove(session: Session, name: str) -> None:
    """Remove a pipeline, with its grants, after its runs, and theirs, have ended. The Hands of its steps stay."""
    with session.client() as client:
        pipelines.added(client, name)
    take_away(session, name, purge=True)
    session.result({"name": name}, lambda: f"{name} is removed.")
