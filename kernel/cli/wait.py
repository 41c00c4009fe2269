"""`maniple wait` (acts)."""

from kernel.cli import live_runs, replies
from kernel.cli.exits import Ended, NotDone
from kernel.cli.frame import Session, command, run_argument
from kernel.cli.run_waiting import keep_run_on_interrupt, print_outcome, wait_for_run


@command()
@run_argument
def wait(session: Session, run: str) -> None:
    """Wait for a run of a task Hand to end, and print its result; at once if it has ended already.

    Ends with 1 if the run failed, with 4 if it was refused. Ctrl-C ends the waiting, not the run.
    """
    with session.client() as client, keep_run_on_interrupt(session, run):
        try:
            outcome = replies.read(wait_for_run(session, client, run).value, replies.Outcome)
        except NotDone as error:
            if error.reason != "unknown run" or (found := live_runs.find(client, run)) is None:
                raise
            of = f"{run} is a run of the service {found.hand}"
            raise Ended(f"{of}, which has no result to wait for: see `maniple ps`") from None
    print_outcome(session, outcome, next_command=f"`maniple run-show {run}`")
