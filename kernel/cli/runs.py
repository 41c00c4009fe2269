"""`maniple runs` (acts)."""

import click

from kernel.cli import hints, history, logbook, screen
from kernel.cli.exits import Ended, NoHand
from kernel.cli.frame import Session, command, hand_names
from kernel.cli.usage_errors import WholeNumber
from manifests.waiting import AWAITS_DECISION
from wire.entries import time_micros


@command()
@click.argument("hand", metavar="[HAND]", required=False, shell_complete=hand_names)
@click.option("-n", "--most", metavar="N", type=WholeNumber(1), default=30, help="The last N; default 30.")
def runs(session: Session, hand: str | None, most: int) -> None:
    """List past and live runs, from the log, the newest last. The kernel need not run.

    One in full: `maniple run-show RUN`. What lives now: `maniple ps`.
    """
    folder = session.log()
    found = list(history.gather(logbook.entries(folder, needles=history.NEEDLES)).values())
    kept = [run for run in found if hand in (None, run.hand)][-most:]
    if hand is not None and not kept:
        if hand in {run.run for run in found}:
            raise Ended(f"{hand} is a run, not a Hand: see `maniple run-show {hand}`")
        if hand not in logbook.installed_names(folder):
            raise NoHand(hand, ", and none of that name ever ran")
    session.result(
        {"runs": kept}, lambda: _drawn(kept), nothing=f"{hand} has not run yet." if hand else "Nothing has run yet."
    )
    for run in kept:
        if run.outcome == AWAITS_DECISION:
            session.say(f"{run.run} waits for your decision: {hints.decide_hint(run.run)}")


def _drawn(found: list[history.PastRun]) -> str:
    if not found:
        return ""
    return screen.table(
        ("RUN", "HAND", "STARTED", "TOOK", "OUTCOME", "WHY"),
        (
            (
                run.run,
                f"{run.hand} {run.version}",
                screen.moment(run.started),
                elapsed(run),
                run.outcome,
                run.why if run.outcome != "done" else "",
            )
            for run in found
        ),
        right=("TOOK",),
        colour_of="OUTCOME",
    )


def elapsed(run: history.PastRun) -> str:
    """The time from a run's start to its end; "" while it lives."""
    if not run.ended:
        return ""
    return screen.duration(max(0, time_micros(run.ended) - time_micros(run.started)) / 1_000_000)
