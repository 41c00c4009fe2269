"""How pipelines and their runs look to people (pure but for the terminal's size): graph, live tree, time line."""

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Final

from kernel.cli import screen
from kernel.cli.drawing import VERDICTS
from kernel.cli.pipeline_progress import ASKS, Course, Piece, Try
from manifests.pipeline.schema import SKIP, STOP, Pipeline, Step, Work
from manifests.values import format_duration
from manifests.waiting import WAITS

ITEMS_SHOWN: Final = 12
"""Items of a step up to which each has a line; of more, only those that are under way or failed."""
BAR: Final = 40
"""Columns of a time line, where its terminal has as many."""
_BAR_LEAST: Final = 10

_COLOURS: Final = {
    **VERDICTS,
    "working": "yellow",
    "waiting": "yellow",
    ASKS: "yellow",
    WAITS: "yellow",
    "skipped": "dim",
    "to come": "dim",
}


# the graph -----------------------------------------------------------------------------------------------------------


def graph(pipeline: Pipeline) -> str:
    """Every step below what it needs, with what it does; then [finally]."""
    depth: dict[str, int] = {}
    for _ in pipeline.steps:
        for name, step in pipeline.steps.items():
            depth[name] = 1 + max((depth.get(other, 0) for other in step.needs), default=-1)
    plain = [step for step in pipeline.steps.values() if not step.stands_in]
    rows = [_row("  " * depth[step.name], step) for step in sorted(plain, key=lambda step: depth[step.name])]
    rows += [_row("  ", step, mark="⤷ in its place: ") for step in pipeline.steps.values() if step.stands_in]
    rows += [_row("", step, mark="finally ") for step in pipeline.last.values()]
    width = max(screen.width_of(row[0]) for row in rows)
    return "\n".join(f"{left}{' ' * (width - screen.width_of(left))}  {right}".rstrip() for left, right in rows)


def _row(indent: str, step: Step, *, mark: str = "") -> tuple[str, str]:
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
    words += _tries(step.work)
    if step.on_failure != STOP:
        words.append("may fail" if step.on_failure == SKIP else f"if it fails, {step.on_failure}")
    if step.undo is not None:
        words.append(f"undone by {step.undo.hand}")
    return left, "; ".join(words)


def _tries(work: Work) -> list[str]:
    words = []
    if work.retry is not None:
        on = f" on {', '.join(work.retry.on)}" if work.retry.on else ""
        words.append(f"tried {'once' if work.retry.times == 1 else f'{work.retry.times} times'} more{on}")
    if work.timeout_ms:
        words.append(f"at most {format_duration(work.timeout_ms)}")
    return words


# the tree ------------------------------------------------------------------------------------------------------------


def tree(course: Course, run: str, pipeline: Pipeline | None, now: int, live: Mapping[str, str]) -> list[str]:
    """A run, its pieces, and theirs, a line each. live: what runs say of themselves now."""
    whole = course.tries.get(run)
    if whole is None:
        return []
    head = [_line("", f"{whole.hand}  {run}", whole.outcome, whole.why, [whole], course, now, live)]
    return head + _branches(course, run, pipeline, now, live, "")


def _branches(
    course: Course, run: str, pipeline: Pipeline | None, now: int, live: Mapping[str, str], indent: str
) -> list[str]:
    pieces = course.of(run)
    known = [step.name for step in pipeline.steps.values() if not step.stands_in] if pipeline else []
    steps = [*known, *(name for name in dict.fromkeys(piece.name.step for piece in pieces) if name not in known)]
    rows: list[tuple[str, str, str, list[Try]]] = []
    for step in steps:
        mine = [piece for piece in pieces if piece.name.step == step and piece.name.role in ("step", "stand-in")]
        rows += _rows_of(step, mine) if mine else [(step, "to come", "", [])] if step in known else []
    rows += [_row_of(piece) for piece in pieces if piece.name.role in ("undo", "finally")]
    lines = []
    for at, (name, state, why, tries) in enumerate(rows):
        is_last = at == len(rows) - 1
        lines.append(_line(indent + ("└─ " if is_last else "├─ "), name, state, why, tries, course, now, live))
        for one in tries[-1:]:
            if course.pieces.get(one.run):
                lines += _branches(course, one.run, None, now, live, indent + ("   " if is_last else "│  "))
    return lines


def _rows_of(step: str, pieces: list[Piece]) -> list[tuple[str, str, str, list[Try]]]:
    """The lines of a step: one; with items, one for all of them and one for each that is to be seen."""
    over = next((piece for piece in pieces if piece.items >= 0), None)
    if over is None:
        return [_row_of(piece) for piece in pieces]
    each = sorted((piece for piece in pieces if piece is not over), key=lambda piece: piece.name.index)
    shown = each if over.items <= ITEMS_SHOWN else [piece for piece in each if piece.state != "done"]
    whole = (f"{step}  {over.done} of {over.items}", over.state, "", list[Try]())
    return [whole, *(_row_of(piece, "  ") for piece in shown)]


def _row_of(piece: Piece, indent: str = "") -> tuple[str, str, str, list[Try]]:
    return f"{indent}{piece.name}", piece.state, piece.why, piece.tries


def _line(
    mark: str, name: str, state: str, why: str, tries: list[Try], course: Course, now: int, live: Mapping[str, str]
) -> str:
    """One line: what, in which state, how long, at which try, at what cost, and why or how far."""
    words = [f"{mark}{screen.visible(name)}".ljust(30), screen.coloured(f"{state:<9}", _COLOURS.get(state, ""))]
    if tries:
        end = tries[-1].ended or now
        words.append(f"{screen.duration(max(0, end - tries[0].started) / 1_000_000):>8}")
        cost = sum(course.cost(one.run) for one in tries)
        words += [screen.dollars(cost)] if cost else []
        words += [f"try {len(tries)}"] if len(tries) > 1 else []
    if state == "working" and tries and live.get(tries[-1].run):
        words.append(screen.visible(live[tries[-1].run]))
    elif state not in ("done", "working") and why:
        words.append(screen.visible(why))
    return "  ".join(words).rstrip()


def fitted(lines: Iterable[str], width: int) -> list[str]:
    """Lines that do not wrap; what is to be typed stands below, each command for itself, where its line is cut.

    One with colours is short enough, or loses them.
    """
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


def time_line(course: Course, run: str, now: int) -> str:
    """Every run under a pipeline run as a bar over its time, in the order of their starts."""
    whole = course.tries[run]
    end = whole.ended or now
    span = max(1, end - whole.started)
    rows = [(f"{whole.hand}  {run}", whole), *_bars(course, run, "")]
    width = max(screen.width_of(name) for name, _ in rows)
    columns = _bar_columns(width + len("  ││   1m 30s  ") + max(len(one.outcome) for _, one in rows))
    lines = []
    for name, one in rows:
        first = min(columns - 1, (one.started - whole.started) * columns // span)
        last = max(first, min(columns - 1, ((one.ended or now) - whole.started) * columns // span))
        bar = " " * first + "█" * (last - first + 1) + " " * (columns - 1 - last)
        took = screen.duration(max(0, (one.ended or now) - one.started) / 1_000_000)
        state = screen.coloured(one.outcome, _COLOURS.get(one.outcome, ""))
        lines.append(f"{screen.visible(name)}{' ' * (width - screen.width_of(name))}  │{bar}│ {took:>7}  {state}")
    return "\n".join(lines)


def _bar_columns(beside: int) -> int:
    """Columns of each bar, so that a line fits the terminal. beside: those of all else in the line."""
    if not screen.is_terminal(sys.stdout):
        return BAR
    return max(_BAR_LEAST, min(BAR, screen.terminal_width() - beside))


def _bars(course: Course, run: str, indent: str) -> Iterable[tuple[str, Try]]:
    begun = [(str(piece.name), at, one) for piece in course.of(run) for at, one in enumerate(piece.tries, 1)]
    for name, at, one in sorted(begun, key=lambda row: row[2].started):
        yield f"{indent}  {name}{f', try {at}' if at > 1 else ''}", one
        yield from _bars(course, one.run, indent + "  ")
