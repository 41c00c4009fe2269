"""`maniple erase` (acts)."""

import sys

import click

from kernel.cli import screen
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command


@command()
@click.argument("run", metavar="RUN")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(session: Session, run: str, yes: bool) -> None:
    """Erase what a run that has ended was told: its tape, and the key of its digests in the log.

    Every proof of the log stays valid; which bodies its digests were of, nobody can tell any more. The run cannot be
    replayed. Copies elsewhere, such as backups, are not reached.
    """
    if not yes and not screen.is_terminal(sys.stdin):
        raise Ended(
            f"nothing was erased: there is no terminal to ask at; `maniple erase {run} --yes` does not ask", Exit.USAGE
        )
    if not yes and not click.confirm(f"Erase what {run} was told, for ever?", default=False, err=True):
        raise Ended("nothing was erased; --yes does not ask")
    with session.client() as client:
        done = client.call("kernel.erase", "", {"run": run}).value
    session.result(done, lambda: f"What {run} was told is erased.")
