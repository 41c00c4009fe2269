"""`maniple cancel` (acts)."""

import click

from kernel.cli import told
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command


@command()
@click.argument("run", metavar="RUN")
def cancel(session: Session, run: str) -> None:
    """Stop one run of a task Hand, by the id that `maniple ps` shows; returns when it is down.

    Its call ends in Cancelled, and everything it had asked others for too.
    """
    if not run.startswith("r-"):
        raise Ended(f"{run} is not a run's id: see `maniple ps`; a whole Hand is stopped by `maniple stop`", Exit.USAGE)
    with session.client() as client:
        live = told.read(client.call("kernel.ps").value, told.LiveRuns)
        if run not in {one.run for one in live.runs}:
            raise Ended(f"no run {run} is live: see `maniple ps`, and `maniple run-show {run}` for one that has ended")
        reply = client.call("kernel.stop", run, seconds=120).value
    session.result(reply, lambda: f"{run} is cancelled.")
