"""The pages that people read of what was measured: where each number stands, and every run (pure).

A number that was measured again and again stands as the median of its last three runs, since one run of a machine that
others use as well says little; each of the three is shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from tests.bench import growth
from tests.bench.samples import Machine, Result, Row, Table, percentile

Runs = Sequence[tuple[str, Result]]
"""Names of runs with what they found, oldest first."""

LAST: Final = 3
"""Runs whose median is where a number stands."""

_HEAD: Final = """# Numbers

`./just bench` measures each row, and writes these pages. "Bare" is the fastest program we can write for the same work
without Maniple. Ours and the bare one run in turns (ours, bare, ours, bare…), so that noise of the machine hits both.
Each value is the median of the last three runs that measured it. [runs.md](runs.md) has every run, with 90th
percentiles; the `run-*.json` files beside it have the raw samples. The machines of those runs, as far as they can be
distinguished:

"""

_EVERY: Final = """# Every run

Medians and 90th percentiles of each run of `./just bench`. [README.md](README.md) has the current numbers.
"""


def standing(runs: Runs) -> str:
    """docs/bench/README.md: where each number stands, the latest of each table, and how recall grows."""
    lines = [_HEAD + _machines(runs), "| what | value | target | met | last runs |", "|---|---:|---:|---|---|"]
    lines += [_stands(measured) for measured in _by_name(runs).values()]
    tables = {table.title: table for _, result in runs for table in result.tables if table.title != growth.TITLE}
    lines += [line for table in tables.values() for line in _table(table)]
    points = growth.points([result.tables for _, result in runs], LAST)
    if points:
        lines += _table(growth.table(points))
        lines.append("\n![Milliseconds of a recall as a memory grows](growth.svg)")
    return "\n".join(lines) + "\n"


def every(runs: Runs) -> str:
    """docs/bench/runs.md: all runs that are kept, one after the other."""
    return _EVERY + "".join(one(name, result) for name, result in runs)


def one(name: str, result: Result) -> str:
    """A run's rows and tables."""
    before, after = result.machine.load
    lines = [f"\n## {name}, {result.machine.time}, load {before:.1f} before, {after:.1f} after\n"]
    lines.append(f"{_described(result.machine)}.\n")
    lines.append("| what | ours p50 | p90 | bare p50 | p90 | value | target | met |")
    lines.append("|---|---:|---:|---:|---:|---:|---:|---|")
    lines += [_line(row) for row in result.rows]
    lines += [f"\n{row.name}: {row.note}" for row in result.rows if row.note]
    lines += [line for table in result.tables for line in _table(table)]
    return "\n".join(lines) + "\n"


def _machines(runs: Runs) -> str:
    """The machines of all runs that a number stands on, and which of them were on each."""
    counted = {name for measured in _by_name(runs).values() for name, _ in measured}
    places: dict[str, list[str]] = {}
    for name, result in runs:
        if name in counted:
            places.setdefault(_described(result.machine), []).append(name)
    return "\n".join(f"- {machine}: {', '.join(names)}" for machine, names in places.items()) + "\n"


def _described(machine: Machine) -> str:
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb:.0f} GB, Linux {machine.kernel}, Python {machine.python}, "
        f"ZeroMQ {machine.zmq}, {machine.file_system}"
    )


def _by_name(runs: Runs) -> Mapping[str, list[tuple[str, Row]]]:
    """Each row's last runs, rows in the order in which they were first measured."""
    found: dict[str, list[tuple[str, Row]]] = {}
    for name, result in runs:
        for row in result.rows:
            found.setdefault(row.name, []).append((name, row))
    return {name: measured[-LAST:] for name, measured in found.items()}


def _stands(measured: Sequence[tuple[str, Row]]) -> str:
    """A row of where numbers stand: it holds as its latest run would have it, by the median of all."""
    row = measured[-1][1]
    value = median(one.value for _, one in measured)
    reached = value >= row.limit if row.at_least else value <= row.limit
    unit = "×" if row.judged == "ratio" else row.unit
    told = ", ".join(f"{_shown(one.value)} ({name})" for name, one in measured)
    return _cells(row.what, f"{_shown(value)} {unit}", _limit(row), "yes" if reached else "**no**", told)


def _table(table: Table) -> list[str]:
    """A table as it stands on a page."""
    rule = "|---|" + "---:|" * (len(table.columns) - 1)
    rows = [_cells(*cells) for cells in (table.columns, *table.lines)]
    return [f"\n### {table.title}\n", rows[0], rule, *rows[1:], f"\n{table.note}"]


def _line(row: Row) -> str:
    bare = [_shown(median(row.bare)), _shown(percentile(row.bare, 0.9))] if row.bare else ["", ""]
    ours = [f"{_shown(median(row.ours))} {row.unit}", _shown(percentile(row.ours, 0.9))]
    return _cells(row.what, *ours, *bare, _shown(row.value), _limit(row), "yes" if row.holds else "**no**")


def _limit(row: Row) -> str:
    return f"{'≥' if row.at_least else '≤'} {row.limit:g}{' × bare' if row.judged == 'ratio' else ''}"


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:#.3g}".rstrip(".")


def pages(runs: Runs) -> Iterable[tuple[str, str]]:
    """All files of docs/bench but the raw ones: name and text."""
    yield "README.md", standing(runs)
    yield "runs.md", every(runs)
    if points := growth.points([result.tables for _, result in runs], LAST):
        yield "growth.svg", growth.drawn(points)
