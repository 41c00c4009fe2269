"""`maniple schedules run` (acts)."""

import time

from kernel.cli import replies
from kernel.cli.frame import Session, command, hand_argument
from kernel.cli.run_waiting import wait_hint
from kernel.cli.start import Started
from wire.entries import time_text


@command()
@hand_argument
def schedules_run(session: Session, hand: str) -> None:
    """Start a Hand now as its schedule would, with the schedule's inputs. Prints the run's id.

    If a run that the schedule began still works, and `overlap` is skip or queue, nothing starts, and this ends with 4.

    With inputs of your own: `maniple start HAND key=value`.
    """
    now = time.time_ns() // 1000
    with session.client() as client:
        reply = client.call("kernel.fire", hand, {"key": f"now {now}", "due": time_text(now)}, seconds=120).value
    run = replies.read(reply, Started).run
    session.result(reply, lambda: run)
    session.say(wait_hint(run))
