"""`maniple pipeline run` (acts)."""

import sys
import time
from contextlib import closing

import click

from kernel.cli import bounding, live_runs, logbook, pipeline_drawing, pipelines, replies, screen, spending, typed
from kernel.cli.client import Client
from kernel.cli.frame import Session, as_json, command
from kernel.cli.pipeline_progress import NEEDLES, RunTree
from kernel.cli.progress import PollSchedule
from kernel.cli.run_waiting import await_outcome, keep_run_on_interrupt, raise_unless_done, wait_for_run, wait_hint
from kernel.cli.start import Started
from kernel.record.recovery import Lines
from manifests.pipeline.schema import Pipeline


class Ran(replies.Outcome, frozen=True, kw_only=True):
    """What `pipeline run --json` prints after waiting. steps: the run's pieces, as in `pipeline show`."""

    steps: list[dict[str, object]]
    micro_dollars: int


@command()
@click.argument("name", metavar="PIPELINE", shell_complete=pipelines.complete_name)
@click.argument("words", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--watch", is_flag=True, help="Show its progress until it has ended.")
@click.option("--wait", is_flag=True, help="Wait for it to end, and print its outputs.")
@click.option("--most", metavar="KEY=AMOUNT", multiple=True, help="What the run may cost: tokens=2000, dollars=0.05.")
def pipeline_run(
    session: Session, name: str, words: tuple[str, ...], watch: bool, wait: bool, most: tuple[str, ...]
) -> None:
    """Start a run of a pipeline, with its inputs. Prints the run's id, or with --watch or --wait its outputs.

    key=value is read by the input's type, key:=JSON is any value. With --watch, a terminal shows a tree of its steps
    with their progress, times and costs; elsewhere each change is a line.

    To stop it and every run under it: `maniple cancel RUN`. Ctrl-C ends the watching, not the run. Ends with 1 if the
    run failed, with 4 if it was refused.
    """
    bounds = spending.parse_most(most)
    with session.client() as client:
        pipeline = pipelines.fetch(client, name).pipeline
        given = typed.arguments(pipeline.inputs, typed.parse_words(words), see=f"maniple pipeline show {name}")
        runs = RunTree()
        position = logbook.last_lines(logbook.folder_of(session.home), 0)[1]
        at_most = bounding.most_of(client, bounds, name)
        reply = client.call("kernel.start", name, {"inputs": given}, seconds=120, most=at_most)
        run = replies.read(reply.value, Started).run
        if not watch and not wait:
            session.result(reply.value, lambda: run)
            session.say(wait_hint(run))
            return
        with (
            keep_run_on_interrupt(session, run),
            closing(_ProgressView(session, pipeline, run, runs, position, is_shown=watch)) as view,
        ):
            session.say(f"{run} of {name} is under way.")
            reply = await_outcome(client, run, view.tick) if watch else wait_for_run(session, client, run)
            outcome = replies.read(reply.value, replies.Outcome)
            view.tick(is_over=True)
    value = outcome.value
    ran = Ran(
        run=run, outcome=outcome.outcome, value=value, code=outcome.code, text=outcome.text,
        steps=pipelines.piece_rows(runs, run), micro_dollars=runs.cost(run),
    )  # fmt: skip
    session.result(ran, lambda: "" if value is None else as_json(value))
    raise_unless_done(outcome, f"`maniple pipeline show {name} --run {run}`")


class _ProgressView:
    """Shows a run's progress: a tree redrawn on a terminal, else a line for each change."""

    def __init__(
        self, session: Session, pipeline: Pipeline, run: str, runs: RunTree, position: Lines, *, is_shown: bool
    ) -> None:
        self._session, self._pipeline, self._run, self._runs, self._position = session, pipeline, run, runs, position
        self._folder = logbook.folder_of(session.home)
        self._is_shown, self._draws = is_shown, is_shown and screen.is_terminal(sys.stderr)
        self._lines = 0
        self._printed: dict[str, str] = {}
        self._client: Client | None = None
        self._schedule, self._progress = PollSchedule(time.monotonic()), dict[str, str]()

    def tick(self, *, is_over: bool = False) -> None:
        """Apply new entries of the log, and show what changed. is_over: the run has ended."""
        for line in logbook.more_lines(self._folder, self._position):
            if any(needle in line for needle in NEEDLES):
                self._runs.apply(logbook.read(line))
        if self._draws:
            self._draw(self._live(), is_over=is_over)
        elif self._is_shown:
            self._print_changes()

    def close(self) -> None:
        """Close this view's own link to the kernel."""
        if self._client is not None:
            self._client.close()

    def _live(self) -> dict[str, str]:
        """The progress that live runs reported at the last poll, by run."""
        if self._schedule.due(time.monotonic()):
            if self._client is None:
                self._client = self._session.client()
            runs = live_runs.fetch_all(self._client)
            self._progress = {one.run: one.progress.shown() for one in runs if one.progress and one.run != self._run}
        return self._progress

    def _draw(self, progress: dict[str, str], *, is_over: bool) -> None:
        room = screen.stream_size(sys.stderr)
        width, height = room.columns - 1, max(room.lines - 2, 1)
        now = time.time_ns() // 1000
        tree = pipeline_drawing.draw_tree(self._runs, self._run, self._pipeline, now, progress)
        lines = pipeline_drawing.fit_lines(map(self._session.hinted, tree), width)
        if len(lines) > height and not is_over:  # lines scrolled off the top of a terminal cannot be redrawn
            lines[height:] = [f"… {screen.count(len(lines) - height, 'line')} more"]
        up = f"\033[{self._lines}A" if self._lines else ""
        drawn = "".join(f"\033[K{screen.safe(line)}\n" for line in lines)
        sys.stderr.write(f"\r{up}{drawn}\033[J")
        sys.stderr.flush()
        self._lines = len(lines)

    def _print_changes(self) -> None:
        for piece in self._runs.pieces_of(self._run):
            name, state = str(piece.name), piece.state
            if piece.items >= 0:
                state = f"over {piece.items}"
            elif piece.state == "working" and len(piece.tries) > 1:
                state = f"working, try {len(piece.tries)}"
            if self._printed.get(name) != state:
                self._printed[name] = state
                why = f": {piece.why}" if piece.why and piece.state not in ("done", "working") else ""
                self._session.say(f"{name}: {state}{screen.visible(why)}")
