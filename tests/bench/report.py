"""The pages of docs/bench: the current value of each number, and every run (pure).

The current value of a number is the median of the last three runs that measured it, because a single run on a machine
that others use too says little; each of the three is shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from tests.bench import growth
from tests.bench.samples import Machine, Result, Row, Table, percentile

Runs = Sequence[tuple[str, Result]]
"""Each run's name and result, oldest first."""

LAST: Final = 3
"""Of how many runs the current value is the median."""

_HEAD: Final = """# Numbers

`./just bench` measures each row, and writes these pages. "Bare" is the fastest program we can write for the same work
without Maniple. Ours and the bare one run in turns (ours, bare, ours, bare…), so that noise of the machine hits both.
Each value is the median of the last three runs that measured it. [runs.md](runs.md) has every run, with 90th
percentiles; the `run-*.json` files beside it have the raw samples. The machines of those runs, as far as they can be
distinguished:

"""

_RUNS_HEAD: Final = """# Every run

Medians and 90th percentiles of each run of `./just bench`. [README.md](README.md) has the current numbers.
"""


def current_page(runs: Runs) -> str:
    """docs/bench/README.md: the current value of each number, the latest of each table, and how recall grows."""
    lines = [_HEAD + _machines(runs), "| what | value | target | met | last runs |", "|---|---:|---:|---|---|"]
    lines += [_current_line(measured) for measured in _by_name(runs).values()]
    tables = {table.title: table for _, result in runs for table in result.tables if table.title != growth.TITLE}
    lines += [line for table in tables.values() for line in _table_lines(table)]
    points = growth.read_points([result.tables for _, result in runs], LAST)
    if points:
        lines += _table_lines(growth.make_table(points))
        lines.append("\n![Milliseconds of a recall as a memory grows](growth.svg)")
    return "\n".join(lines) + "\n"


def runs_page(runs: Runs) -> str:
    """docs/bench/runs.md: all runs, one after the other."""
    return _RUNS_HEAD + "".join(run_section(name, result) for name, result in runs)


def run_section(name: str, result: Result) -> str:
    """A run's section of runs.md: its rows and tables."""
    before, after = result.machine.load
    lines = [f"\n## {name}, {result.machine.time}, load {before:.1f} before, {after:.1f} after\n"]
    lines.append(f"{_describe(result.machine)}.\n")
    lines.append("| what | ours p50 | p90 | bare p50 | p90 | value | target | met |")
    lines.append("|---|---:|---:|---:|---:|---:|---:|---|")
    lines += [_run_line(row) for row in result.rows]
    lines += [f"\n{row.name}: {row.note}" for row in result.rows if row.note]
    lines += [line for table in result.tables for line in _table_lines(table)]
    return "\n".join(lines) + "\n"


def _machines(runs: Runs) -> str:
    """A list of the machines of all runs that a current value is taken from, with the names of the runs on each."""
    counted = {name for measured in _by_name(runs).values() for name, _ in measured}
    places: dict[str, list[str]] = {}
    for name, result in runs:
        if name in counted:
            places.setdefault(_describe(result.machine), []).append(name)
    return "\n".join(f"- {machine}: {', '.join(names)}" for machine, names in places.items()) + "\n"


def _describe(machine: Machine) -> str:
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb:.0f} GB, Linux {machine.kernel}, Python {machine.python}, "
        f"ZeroMQ {machine.zmq}, {machine.file_system}"
    )


def _by_name(runs: Runs) -> Mapping[str, list[tuple[str, Row]]]:
    """For each row's name the last runs that measured it; names in the order in which they were first measured."""
    found: dict[str, list[tuple[str, Row]]] = {}
    for name, result in runs:
        for row in result.rows:
            found.setdefault(row.name, []).append((name, row))
    return {name: measured[-LAST:] for name, measured in found.items()}


def _current_line(measured: Sequence[tuple[str, Row]]) -> str:
    """A line of README.md: the median of these runs, and whether it meets the limit of the latest of them."""
    row = measured[-1][1]
    value = median(one.value for _, one in measured)
    reached = value >= row.limit if row.at_least else value <= row.limit
    unit = "×" if row.judged == "ratio" else row.unit
    told = ", ".join(f"{_format(one.value)} ({name})" for name, one in measured)
    return _join_cells(row.what, f"{_format(value)} {unit}", _format_limit(row), "yes" if reached else "**no**", told)


def _table_lines(table: Table) -> list[str]:
    """The lines of a table on a page."""
    rule = "|---|" + "---:|" * (len(table.columns) - 1)
    rows = [_join_cells(*cells) for cells in (table.columns, *table.lines)]
    return [f"\n### {table.title}\n", rows[0], rule, *rows[1:], f"\n{table.note}"]


def _run_line(row: Row) -> str:
    """A line of a run's section."""
    bare = [_format(median(row.bare)), _format(percentile(row.bare, 0.9))] if row.bare else ["", ""]
    ours = [f"{_format(median(row.ours))} {row.unit}", _format(percentile(row.ours, 0.9))]
    return _join_cells(row.what, *ours, *bare, _format(row.value), _format_limit(row), "yes" if row.holds else "**no**")


def _format_limit(row: Row) -> str:
    return f"{'≥' if row.at_least else '≤'} {row.limit:g}{' × bare' if row.judged == 'ratio' else ''}"


def _join_cells(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _format(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:#.3g}".rstrip(".")


def pages(runs: Runs) -> Iterable[tuple[str, str]]:
    """Name and text of each file of docs/bench but the raw ones."""
    yield "README.md", current_page(runs)
    yield "runs.md", runs_page(runs)
    if points := growth.read_points([result.tables for _, result in runs], LAST):
        yield "growth.svg", growth.draw_svg(points)
