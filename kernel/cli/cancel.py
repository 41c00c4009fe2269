"""`maniple cancel` (acts)."""

from kernel.cli.exits import Ended, NotDone
from kernel.cli.frame import Session, command, run_argument


@command()
@run_argument
def cancel(session: Session, run: str) -> None:
    """Stop one run of a task Hand by its id, even one that only waits and has no process. Returns when it has ended.

    Its call ends in Cancelled, and so do all calls that it had made and that are still open.
    """
    with session.client() as client:
        try:
            reply = client.call("kernel.stop", run, seconds=120).value
        except NotDone as error:
            if error.reason != "unknown hand":
                raise
            raise Ended(
                f"no run {run} is live: see `maniple runs`, and `maniple run-show {run}` for one that has ended"
            ) from None
    session.result(reply, lambda: f"{run} is cancelled.")
