"""`maniple ps` (acts)."""

from kernel.cli import live_runs, screen
from kernel.cli.frame import Session, command
from kernel.cli.history import how_to_decide
from kernel.cli.replies import LiveRun
from manifests.waiting import WAITS


@command()
def ps(session: Session) -> None:
    """List the live runs: what each is, does, uses and has cost.

    Runs without a process are listed too: those that only wait (asleep), that wait for your decision since their code
    was upgraded, or that are frozen or paused.

    CPU is processor time so far, MEMORY what is resident (RSS), CALLS the calls it made, OPEN those under way, FUEL
    what the guests of a WASM Hand have used. Runs that have ended: `maniple runs`.
    """
    with session.client() as client:
        runs = live_runs.runs(client)
    session.result({"runs": runs}, lambda: _drawn(runs), nothing="Nothing runs.")
    for run in runs:
        if run.state == WAITS:
            session.say(f"{run.run} waits: {how_to_decide(run.run)}")


def _drawn(runs: tuple[LiveRun, ...]) -> str:
    if not runs:
        return ""
    return screen.table(
        ("RUN", "HAND", "PID", "STATE", "UP", "CPU", "MEMORY", "CALLS", "OPEN", "FUEL", "TOKENS", "COST", "PROGRESS"),
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
                "" if run.used is None else run.used.fuel,
                run.tokens or "",
                screen.dollars(run.micro_dollars) if run.micro_dollars else "",
                run.progress.shown() if run.progress else "",
            )
            for run in runs
        ),
        right=("PID", "UP", "CPU", "MEMORY", "CALLS", "OPEN", "FUEL", "TOKENS", "COST"),
        colour_of="STATE",
        spare=("FUEL", "TOKENS", "COST", "PROGRESS", "OPEN", "PID", "CPU"),
    )
