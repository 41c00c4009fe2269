"""`maniple stop` (acts)."""

from typing import Final

import click
from msgspec import Struct

from kernel.cli import replies
from kernel.cli.exits import Ended, NotDone
from kernel.cli.frame import Session, command, hand_or_run_names

SCHEDULING: Final = "scheduling"
"""The Hand that starts what has a schedule."""


class Stopped(Struct, frozen=True, kw_only=True):
    """The reply of kernel.stop. stopped: number of processes that ended."""

    stopped: int


@command()
@click.argument("hand", metavar="HAND|RUN", shell_complete=hand_or_run_names)
def stop(session: Session, hand: str) -> None:
    """Stop a service, every run of a task Hand, or one run by its id. Returns when they have ended.

    A service that is stopped is no longer wanted: it does not start with the kernel, but still at its first call.
    """
    with session.client() as client:
        try:
            reply = client.call("kernel.stop", hand, seconds=120).value
        except NotDone as error:
            if error.reason != "unknown hand" or not hand.startswith("r-"):
                raise
            raise Ended(
                f"no run {hand} is live: see `maniple runs`, and `maniple run-show {hand}` for one that has ended"
            ) from None
    number = replies.read(reply, Stopped).stopped
    session.result(reply, lambda: f"{hand}: {'nothing ran' if not number else f'{number} stopped'}.")
    if hand == SCHEDULING:
        session.say("No schedule starts anything until `maniple start scheduling`, or a look at `maniple schedules`.")
