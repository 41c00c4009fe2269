"""`maniple erase` (acts)."""

import click

from kernel.cli.confirming import confirm
from kernel.cli.frame import Session, command, run_argument


@command()
@run_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(session: Session, run: str, yes: bool) -> None:
    """Erase the recording of a run that has ended: its tape, and the key of its digests in the log.

    Every proof of the log stays valid, but nobody can tell any more what its digests were made of. The run cannot be
    replayed. What its Hand printed stays in `maniple logs`. Copies elsewhere, such as backups, are not erased.
    """
    confirm(f"Erase the recording of {run}, for ever?", f"maniple erase {run}", yes=yes)
    with session.client() as client:
        done = client.call("kernel.erase", "", {"run": run}).value
    session.result(done, lambda: f"The recording of {run} is erased.")
