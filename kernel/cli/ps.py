"""`maniple ps` (acts)."""

from typing import Final

from kernel.cli import live_runs, screen
from kernel.cli.frame import Session, command
from kernel.cli.hints import decide_hint
from kernel.cli.replies import LiveRun
from manifests.waiting import AWAITS_DECISION

_COLUMNS: Final = (
    "RUN", "HAND", "PID", "STATE", "UP", "CPU", "MEMORY", "CALLS", "OPEN", "OVERDUE", "FUEL", "TOKENS", "COST", "PROGRESS",
)  # fmt: skip


@command()
def ps(session: Session) -> None:
    """List the live runs: what each is, does, uses and has cost.

    Runs without a process are listed too: those that only wait (asleep), that wait for your decision since their code
    was upgraded, or that are frozen or paused.

    CPU is processor time so far, MEMORY what is resident (RSS), CALLS the calls it made, OPEN those under way, FUEL
    what the guests of a WASM Hand have used. OVERDUE are calls at a service that ended (time up, or cancelled) before
    it answered, and whose end it has not acknowledged: at most 16 are counted. One that stays so may hang, and
    `maniple restart HAND` ends it. Runs that have ended: `maniple runs`.
    """
    with session.client() as client:
        runs = live_runs.fetch_all(client)
    session.result({"runs": runs}, lambda: _drawn(runs), nothing="Nothing runs.")
    for run in runs:
        if run.state == AWAITS_DECISION:
            session.say(f"{run.run} waits: {decide_hint(run.run)}")
        if run.overdue:
            calls = screen.count(run.overdue, "call")
            mend = f"if it hangs, `maniple restart {run.hand}`"
            session.say(f"{run.run} of {run.hand} has not acknowledged the end of {calls}: {mend}")


def _drawn(runs: tuple[LiveRun, ...]) -> str:
    if not runs:
        return ""
    return screen.table(
        _COLUMNS,
        (
            (
                run.run,
                f"{run.hand} {run.version}",
                run.pid or "",
                run.state,
                screen.duration(run.seconds),
                f"{run.cpu_seconds:.2f}s",
                screen.size(run.memory),
                run.calls,
                run.open,
                run.overdue or "",
                "" if run.used is None else run.used.fuel,
                run.tokens or "",
                screen.dollars(run.micro_dollars) if run.micro_dollars else "",
                run.progress.shown() if run.progress else "",
            )
            for run in runs
        ),
        right=("PID", "UP", "CPU", "MEMORY", "CALLS", "OPEN", "OVERDUE", "FUEL", "TOKENS", "COST"),
        colour_of="STATE",
        spare=("FUEL", "TOKENS", "COST", "OVERDUE", "PROGRESS", "OPEN", "PID", "CPU"),
    )
