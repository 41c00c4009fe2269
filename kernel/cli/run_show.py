"""`maniple run-show` (acts)."""

import click
import msgspec

from kernel.cli import drawing, hints, history, logbook, screen
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command, run_argument
from kernel.cli.runs import elapsed
from kernel.cli.usage_errors import WholeNumber
from manifests.waiting import AWAITS_DECISION
from wire.entries import Entry


@command()
@run_argument
@click.option("-n", "--most", metavar="N", type=WholeNumber(0), default=200, help="The last N entries; default 200.")
def run_show(session: Session, run: str, most: int) -> None:
    """Show one run in full, from the log: its start, its confinement, every call that it made or answered, and its end.

    The kernel need not run.
    """
    folder = session.log()
    of_run = [
        entry
        for entry in logbook.entries(folder, needles=(run.encode(errors="surrogateescape"),))
        if run in (entry.run, entry.principal)
    ]
    calls = {entry.call for entry in of_run if entry.kind == "run.start" and entry.call}
    ends = (
        [e for e in logbook.entries(folder, needles=[b'"call":%d,' % call for call in calls]) if e.call in calls]
        if calls
        else []
    )
    entries = sorted({entry.seq: entry for entry in (*of_run, *ends)}.values(), key=lambda entry: entry.seq)
    found = history.gather(entries).get(run)
    if found is None:
        raise Ended(f"the log knows no run {run}: see `maniple runs`")
    session.result(
        {"run": found, "entries": [msgspec.to_builtins(entry) for entry in entries[-most:] if most]},
        lambda: _drawn(session, found, entries[-most:] if most else []),
    )
    if found.ended and any(entry.method == "run" for entry in ends):
        session.say(f"What it was told and answered, message by message: `maniple replay {run}`")


def _drawn(session: Session, run: history.PastRun, entries: list[Entry]) -> str:
    head = screen.fields(
        (
            ("run", run.run),
            ("hand", f"{run.hand} {run.version} ({run.kind})"),
            ("started", run.started),
            ("ended", f"{run.ended} after {elapsed(run)}" if run.ended else "it lives, or its end was not recorded"),
            ("outcome", screen.coloured(run.outcome, drawing.VERDICTS.get(run.outcome, ""))),
            ("why", run.why),
            ("next", hints.decide_hint(run.run) if run.outcome == AWAITS_DECISION else ""),
            ("process", run.exit),
            ("used", _used(run)),
            ("confined by", run.confinement),
            ("but not by", screen.lacking(run.lacking)),
        )
    )
    return "\n".join([session.hinted(head), "", *map(drawing.line, entries)]).rstrip()


def _used(run: history.PastRun) -> str:
    if not run.ended and not run.memory_peak:
        return ""  # not in the log yet; `maniple ps` has it
    used = f"{run.cpu_seconds:.2f}s of processor, {screen.size(run.memory_peak)} at most"
    return f"{used}, {screen.count(run.calls, 'call')}" if run.ended else f"{used}, by its processes that have ended"
