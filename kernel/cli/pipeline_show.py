"""`maniple pipeline show` (acts)."""

import time

import click
import msgspec

from kernel.cli import logbook, pipeline_drawing, pipelines, screen
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command, run_names
from kernel.cli.pipeline_progress import NEEDLES, Course
from kernel.cli.pipelines import Added
from kernel.cli.show import scheduled
from manifests.grants import as_text
from manifests.values import format_duration


@command()
@click.argument("name", metavar="PIPELINE", shell_complete=pipelines.names)
@click.option(
    "--run", metavar="RUN", shell_complete=run_names, help="Draw the time line of this run, instead of the last one."
)
def pipeline_show(session: Session, name: str, run: str | None) -> None:
    """Show a pipeline in full: what it takes and returns, its steps as a graph, and a time line of its last run.

    The time line is drawn from the log: each run that was made is a bar from its start to its end.
    """
    with session.client() as client:
        one = pipelines.added(client, name)
    course = Course()
    for entry in logbook.entries(session.log(), needles=NEEDLES):
        course.take(entry)
    chosen = run or _last(course, name)
    if run is not None and (run not in course.tries or course.tries[run].hand != name):
        raise Ended(f"{run} is not a run of {name}: see `maniple runs {name}`")
    value: dict[str, object] = {"pipeline": msgspec.to_builtins(one.pipeline), "run": None}
    if chosen:
        whole = course.tries[chosen]
        value["run"] = {**msgspec.to_builtins(whole), "steps": pipelines.pieces(course, chosen)}
    session.result(value, lambda: session.hinted(_drawn(one, course, chosen)))


def _last(course: Course, name: str) -> str:
    return next((run for run in reversed(course.tries) if course.tries[run].hand == name), "")


def _drawn(one: Added, course: Course, run: str) -> str:
    pipeline = one.pipeline
    about = screen.fields(
        (
            ("pipeline", f"{pipeline.name} {one.version}"),
            ("does", pipeline.description),
            ("takes", "\n".join(f"{name}: {of}" for name, of in pipeline.inputs.items())),
            ("returns", ", ".join(pipeline.outputs)),
            ("lends", "\n".join(map(as_text, pipeline.lends)) if pipeline.lends is not None else ""),
            ("scheduled", scheduled(one.schedule)),
            ("bounds", f"{pipeline.parallel} runs at once, {format_duration(pipeline.wall_ms)} in all"),
        )
    )
    parts = [about, pipeline_drawing.graph(pipeline)]
    if run and (version := course.tries[run].version) != one.version:
        parts.append(f"{run} was begun with {pipeline.name} {version}, whose steps may be others than those above")
    parts.append(
        pipeline_drawing.time_line(course, run, time.time_ns() // 1000) if run else f"{pipeline.name} has not run yet."
    )
    if asking := [f"{screen.visible(name)} asks you first: {what}" for name, what in course.asking(run)]:
        parts.append("\n".join(asking))
    return "\n\n".join(parts)
