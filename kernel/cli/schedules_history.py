"""`maniple schedules history` (acts)."""

import click
from msgspec import Struct
from msgspec.structs import replace

from kernel.cli import history, installed, logbook, replies, screen
from kernel.cli.exits import NoHand
from kernel.cli.frame import Session, command, hand_names
from kernel.cli.usage_errors import WholeNumber


class _Past(Struct, frozen=True, kw_only=True):
    """A row of scheduling.history."""

    at: str
    hand: str
    what: str
    planned: str
    run: str
    outcome: str
    why: str
    count: int


class _History(Struct, frozen=True, kw_only=True):
    """The reply of scheduling.history."""

    history: tuple[_Past, ...]


@command()
@click.argument("hand", metavar="[HAND]", required=False, shell_complete=hand_names)
@click.option("-n", "--most", metavar="N", type=WholeNumber(1), default=30, help="The last N; default 30.")
def schedules_history(session: Session, hand: str | None, most: int) -> None:
    """List what schedules started, missed and skipped, and why, the newest last. Times are UTC.

    PLANNED is when the start was due, OUTCOME how the run ended, COUNT how many starts a row stands for. A run in full:
    `maniple run-show RUN`.
    """
    with session.client() as client:
        reply = client.call("scheduling.history", "", {"hand": hand or "", "most": most}, seconds=60).value
        history_rows = replies.read(reply, _History).history
        if hand is not None and not history_rows and hand not in {one.name for one in installed.list_hands(client)}:
            raise NoHand(hand)
    rows = _with_outcomes(session, history_rows)
    session.result({"history": rows}, lambda: _drawn(rows), nothing="No schedule has started anything yet.")


def _with_outcomes(session: Session, rows: tuple[_Past, ...]) -> tuple[_Past, ...]:
    """Complete rows from the log: outcomes of runs that ended unobserved, and reasons of those that failed."""
    if all(row.outcome == "done" or not row.run for row in rows):
        return rows
    runs = history.gather(logbook.entries(session.log(), needles=history.NEEDLES))
    return tuple(
        replace(row, outcome=row.outcome or run.outcome, why=run.why or row.why)
        if (run := runs.get(row.run)) is not None
        else row
        for row in rows
    )


def _drawn(rows: tuple[_Past, ...]) -> str:
    if not rows:
        return ""
    return screen.table(
        ("PLANNED", "HAND", "WHAT", "RUN", "OUTCOME", "COUNT", "WHY"),
        (
            (
                screen.moment(row.planned),
                row.hand,
                row.what,
                row.run,
                row.outcome,
                str(row.count) if row.count > 1 else "",
                screen.visible(row.why),
            )
            for row in rows
        ),
        right=("COUNT",),
        colour_of="OUTCOME",
    )
