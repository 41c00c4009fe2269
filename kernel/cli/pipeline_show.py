"""`maniple pipeline show` (acts)."""

import time

import click
import msgspec

from kernel.cli import logbook, pipeline_drawing, pipelines, screen
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command, run_names
from kernel.cli.pipeline_progress import NEEDLES, RunTree
from kernel.cli.pipelines import InstalledPipeline
from kernel.cli.show import schedule_lines
from manifests.grants import as_text
from manifests.values import format_duration


@command()
@click.argument("name", metavar="PIPELINE", shell_complete=pipelines.complete_name)
@click.option(
    "--run", metavar="RUN", shell_complete=run_names, help="Draw the time line of this run, instead of the last one."
)
def pipeline_show(session: Session, name: str, run: str | None) -> None:
    """Show a pipeline in full: what it takes and returns, its steps as a graph, and a time line of its last run.

    The time line is drawn from the log: each run that was made is a bar from its start to its end.
    """
    with session.client() as client:
        one = pipelines.fetch(client, name)
    runs = RunTree()
    for entry in logbook.entries(session.log(), needles=NEEDLES):
        runs.apply(entry)
    chosen = run or _last_run(runs, name)
    if run is not None and (run not in runs.tries or runs.tries[run].hand != name):
        raise Ended(f"{run} is not a run of {name}: see `maniple runs {name}`")
    value: dict[str, object] = {"pipeline": msgspec.to_builtins(one.pipeline), "run": None}
    if chosen:
        value["run"] = pipelines.try_row(runs, runs.tries[chosen])
    session.result(value, lambda: session.hinted(_drawn(one, runs, chosen)))


def _last_run(runs: RunTree, name: str) -> str:
    return next((run for run in reversed(runs.tries) if runs.tries[run].hand == name), "")


def _drawn(one: InstalledPipeline, runs: RunTree, run: str) -> str:
    pipeline = one.pipeline
    head = screen.fields(
        (
            ("pipeline", f"{pipeline.name} {one.version}"),
            ("does", pipeline.description),
            ("takes", "\n".join(f"{name}: {of}" for name, of in pipeline.inputs.items())),
            ("returns", ", ".join(pipeline.outputs)),
            ("lends", "\n".join(map(as_text, pipeline.lends)) if pipeline.lends is not None else ""),
            ("scheduled", schedule_lines(one.schedule)),
            ("bounds", f"{pipeline.parallel} runs at once, {format_duration(pipeline.wall_ms)} in all"),
        )
    )
    parts = [head, pipeline_drawing.draw_graph(pipeline)]
    if run and (version := runs.tries[run].version) != one.version:
        parts.append(f"{run} was begun with {pipeline.name} {version}, whose steps may be others than those above")
    parts.append(
        pipeline_drawing.draw_time_line(runs, run, time.time_ns() // 1000)
        if run
        else f"{pipeline.name} has not run yet."
    )
    if pending := [f"{screen.visible(name)} asks you first: {what}" for name, what in runs.pending_approvals(run)]:
        parts.append("\n".join(pending))
    return "\n\n".join(parts)
