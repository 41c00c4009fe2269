"""`maniple erase` (acts)."""

import click

from kernel.cli.confirming import confirm
from kernel.cli.frame import Session, command, run_argument


@command()
@run_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(session: Session, run: str, yes: bool) -> None:
    """Erase what a run that has ended was told and came to: its tape, and the key of its digests in the log.

    Every proof of the log stays valid; which bodies its digests were of, nobody can tell any more. The run cannot be
    replayed. What its Hand printed stays in `maniple logs`; copies elsewhere, such as backups, are not reached.
    """
    confirm(f"Erase what {run} was told, for ever?", f"maniple erase {run}", yes=yes)
    with session.client() as client:
        done = client.call("kernel.erase", "", {"run": run}).value
    session.result(done, lambda: f"What {run} was told is erased.")
