"""`maniple wait` (acts)."""

from kernel.cli import replies
from kernel.cli.frame import Session, command, run_argument
from kernel.cli.run_waiting import left_alone, result, waited


@command()
@run_argument
def wait(session: Session, run: str) -> None:
    """Wait until a run of a task Hand has ended, and print its result; of one that has ended before, at once.

    A run that failed ends this command with 1, one that was refused with 4. Ctrl-C ends the waiting, not the run.
    """
    with session.client() as client, left_alone(session, run):
        outcome = replies.read(waited(session, client, run).value, replies.Outcome)
    result(session, outcome, look=f"`maniple run-show {run}`")
