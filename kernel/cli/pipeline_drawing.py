"""Draws pipelines and their runs (pure but for the terminal's size): graph, live tree, time line."""

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Final

from kernel.cli import screen
from kernel.cli.drawing import VERDICTS
from kernel.cli.pipeline_progress import ASKS, Piece, RunTree, Try
from manifests.pipeline.schema import SKIP, STOP, Pipeline, Step, Work
from manifests.values import format_duration
from manifests.waiting import AWAITS_DECISION

ITEMS_SHOWN: Final = 12
"""Most items of a step that each get a line; of more, only those not done get one."""

BAR_COLUMNS: Final = 40
"""Columns of a bar, if the terminal is wide enough."""

_BAR_COLUMNS_MIN: Final = 10

_COLOURS: Final = {
    **VERDICTS,
    "working": "yellow",
    "waiting": "yellow",
    ASKS: "yellow",
    AWAITS_DECISION: "yellow",
    "skipped": "dim",
    "to come": "dim",
}


# the graph -----------------------------------------------------------------------------------------------------------


def draw_graph(pipeline: Pipeline) -> str:
    """Draw every step below the steps it needs, with what it does; then those of [finally]."""
    depth: dict[str, int] = {}
    for _ in pipeline.steps:
        for name, step in pipeline.steps.items():
            depth[name] = 1 + max((depth.get(other, 0) for other in step.needs), default=-1)
    plain = [step for step in pipeline.steps.values() if not step.stands_in]
    rows = [_graph_row("  " * depth[step.name], step) for step in sorted(plain, key=lambda step: depth[step.name])]
    rows += [_graph_row("  ", step, mark="⤷ in its place: ") for step in pipeline.steps.values() if step.stands_in]
    rows += [_graph_row("", step, mark="finally ") for step in pipeline.last.values()]
    width = max(screen.width_of(row[0]) for row in rows)
    return "\n".join(f"{left}{' ' * (width - screen.width_of(left))}  {right}".rstrip() for left, right in rows)


def _graph_row(indent: str, step: Step, *, mark: str = "") -> tuple[str, str]:
    left = f"{indent}{mark or ('└ ' if step.needs else '')}{step.name}"
    words = [f"{'pipeline ' if step.work.is_pipeline else ''}{step.work.hand}"]
    if step.needs:
        words.append(f"after {', '.join(step.needs)}")
    if step.when:
        words.append(f"when {screen.visible(step.when)}")
    if step.for_each is not None:
        of = screen.visible(step.for_each) if isinstance(step.for_each, str) else "a list"
        words.append(f"for each of {of}, {step.parallel} at once")
    if step.work.approval:
        words.append("asks you first")
    words += _tries_words(step.work)
    if step.on_failure != STOP:
        words.append("may fail" if step.on_failure == SKIP else f"if it fails, {step.on_failure}")
    if step.undo is not None:
        words.append(f"undone by {step.undo.hand}")
    return left, "; ".join(words)


def _tries_words(work: Work) -> list[str]:
    words = []
    if work.retry is not None:
        on = f" on {', '.join(work.retry.on)}" if work.retry.on else ""
        words.append(f"tried {'once' if work.retry.times == 1 else f'{work.retry.times} times'} more{on}")
    if work.timeout_ms:
        words.append(f"at most {format_duration(work.timeout_ms)}")
    return words


# the tree ------------------------------------------------------------------------------------------------------------


def draw_tree(runs: RunTree, run: str, pipeline: Pipeline | None, now: int, live: Mapping[str, str]) -> list[str]:
    """Draw a run, its pieces and their runs, one per line. live: the progress that live runs report, by run."""
    top = runs.tries.get(run)
    if top is None:
        return []
    head = [_line("", f"{top.hand}  {run}", top.outcome, top.why, [top], runs, now, live)]
    return head + _branches(runs, run, pipeline, now, live, "")


def _branches(
    runs: RunTree, run: str, pipeline: Pipeline | None, now: int, live: Mapping[str, str], indent: str
) -> list[str]:
    pieces = runs.pieces_of(run)
    known = [step.name for step in pipeline.steps.values() if not step.stands_in] if pipeline else []
    steps = [*known, *(name for name in dict.fromkeys(piece.name.step for piece in pieces) if name not in known)]
    rows: list[tuple[str, str, str, list[Try]]] = []
    for step in steps:
        mine = [piece for piece in pieces if piece.name.step == step and piece.name.role in ("step", "stand-in")]
        rows += _step_rows(step, mine) if mine else [(step, "to come", "", [])] if step in known else []
    rows += [_piece_row(piece) for piece in pieces if piece.name.role in ("undo", "finally")]
    lines = []
    for at, (name, state, why, tries) in enumerate(rows):
        is_last = at == len(rows) - 1
        lines.append(_line(indent + ("└─ " if is_last else "├─ "), name, state, why, tries, runs, now, live))
        for one in tries[-1:]:
            if runs.pieces.get(one.run):
                lines += _branches(runs, one.run, None, now, live, indent + ("   " if is_last else "│  "))
    return lines


def _step_rows(step: str, pieces: list[Piece]) -> list[tuple[str, str, str, list[Try]]]:
    """The rows of a step: one; for a step over items, one for all items and one for each item shown."""
    over = next((piece for piece in pieces if piece.items >= 0), None)
    if over is None:
        return [_piece_row(piece) for piece in pieces]
    each = sorted((piece for piece in pieces if piece is not over), key=lambda piece: piece.name.index)
    shown = each if over.items <= ITEMS_SHOWN else [piece for piece in each if piece.state != "done"]
    top = (f"{step}  {over.done} of {over.items}", over.state, "", list[Try]())
    return [top, *(_piece_row(piece, "  ") for piece in shown)]


def _piece_row(piece: Piece, indent: str = "") -> tuple[str, str, str, list[Try]]:
    return f"{indent}{piece.name}", piece.state, piece.why, piece.tries


def _line(
    mark: str, name: str, state: str, why: str, tries: list[Try], runs: RunTree, now: int, live: Mapping[str, str]
) -> str:
    """Draw one line: name, state, duration, cost, number of the try, and its progress or reason."""
    words = [f"{mark}{screen.visible(name)}".ljust(30), screen.coloured(f"{state:<9}", _COLOURS.get(state, ""))]
    if tries:
        end = tries[-1].ended or now
        words.append(f"{screen.duration(max(0, end - tries[0].started) / 1_000_000):>8}")
        cost = sum(runs.cost(one.run) for one in tries)
        words += [screen.dollars(cost)] if cost else []
        words += [f"try {len(tries)}"] if len(tries) > 1 else []
    if state == "working" and tries and live.get(tries[-1].run):
        words.append(screen.visible(live[tries[-1].run]))
    elif state not in ("done", "working") and why:
        words.append(screen.visible(why))
    return "  ".join(words).rstrip()


def fit_lines(lines: Iterable[str], width: int) -> list[str]:
    """Cut lines to a width; commands in a cut line follow below it, one per line. A line that is cut loses its colours."""
    shown = []
    for line in lines:
        plain = screen.unpainted(line)
        if screen.width_of(plain) <= width:
            shown.append(line)
        else:
            left, what, rest = plain.partition("`maniple ")
            typed = re.findall("`[^`]+`", what + rest)
            shown.append(screen.cut(left.rstrip() if typed else plain, width))
            shown += [screen.cut(f"   {command}", width) for command in typed]
    return shown


# the time line -------------------------------------------------------------------------------------------------------


def draw_time_line(runs: RunTree, run: str, now: int) -> str:
    """Draw a pipeline run and every run under it as bars over time, in the order of their starts."""
    top = runs.tries[run]
    end = top.ended or now
    span = max(1, end - top.started)
    rows = [(f"{top.hand}  {run}", top), *_bars(runs, run, "")]
    width = max(screen.width_of(name) for name, _ in rows)
    columns = _bar_columns(width + len("  ││   1m 30s  ") + max(len(one.outcome) for _, one in rows))
    lines = []
    for name, one in rows:
        first = min(columns - 1, (one.started - top.started) * columns // span)
        last = max(first, min(columns - 1, ((one.ended or now) - top.started) * columns // span))
        bar = " " * first + "█" * (last - first + 1) + " " * (columns - 1 - last)
        duration = screen.duration(max(0, (one.ended or now) - one.started) / 1_000_000)
        state = screen.coloured(one.outcome, _COLOURS.get(one.outcome, ""))
        lines.append(f"{screen.visible(name)}{' ' * (width - screen.width_of(name))}  │{bar}│ {duration:>7}  {state}")
    return "\n".join(lines)


def _bar_columns(beside: int) -> int:
    """The columns of a bar for which a line fits the terminal. beside: columns of the rest of the line."""
    if not screen.is_terminal(sys.stdout):
        return BAR_COLUMNS
    return max(_BAR_COLUMNS_MIN, min(BAR_COLUMNS, screen.terminal_width() - beside))


def _bars(runs: RunTree, run: str, indent: str) -> Iterable[tuple[str, Try]]:
    begun = [(str(piece.name), at, one) for piece in runs.pieces_of(run) for at, one in enumerate(piece.tries, 1)]
    for name, at, one in sorted(begun, key=lambda row: row[2].started):
        yield f"{indent}  {name}{f', try {at}' if at > 1 else ''}", one
        yield from _bars(runs, one.run, indent + "  ")
