"""What was measured, as values, and the table that people read (pure)."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from msgspec import Struct


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One number to reach. ours, bare: raw samples in `unit`; no bare where there is nothing to compare with.

    judged: `ratio` (median of ours ÷ median of bare) or `median` (of ours); it holds at or below `limit`, or with
    `at_least` at or above it.
    """

    name: str
    what: str
    unit: str
    ours: tuple[float, ...]
    bare: tuple[float, ...] = ()
    judged: str
    limit: float
    at_least: bool = False
    note: str = ""

    @property
    def value(self) -> float:
        """What is compared with the limit."""
        return median(self.ours) / median(self.bare) if self.judged == "ratio" else median(self.ours)

    @property
    def holds(self) -> bool:
        """Whether it was reached."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is better compared than judged by one number: a table of its own below the rows."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    note: str = ""


class Machine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where it was measured. load: of the last minute, before and after."""

    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    python: str
    zmq: str
    file_system: str
    load: tuple[float, float]
    time: str


class Result(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of the bench: a raw file."""

    machine: Machine
    rows: tuple[Row, ...]
    tables: tuple[Table, ...] = ()


def percentile(samples: Sequence[float], part: float) -> float:
    """The nearest-rank percentile, part from 0 to 1."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


_HEAD: Final = """# Numbers

Measured by `./just bench`: each row beside the fastest bare program we can write for the same work, in the same run,
in turns (ours, bare, ours, bare…), so that noise of the machine hits both. Medians and 90th percentiles; the raw
samples are in the `run-*.json` files here, one for each run. This page is written by the bench.

"""


def page(runs: Sequence[tuple[str, Result]]) -> str:
    """docs/bench/README.md."""
    machine = runs[-1][1].machine
    where = (
        f"Machine: {machine.cpu}, {machine.cores} cores, {machine.memory_gb:.0f} GB, Linux {machine.kernel}, "
        f"Python {machine.python}, ZeroMQ {machine.zmq}, {machine.file_system}.\n"
    )
    lines = [_HEAD, where]
    for name, result in runs:
        before, after = result.machine.load
        lines.append(f"\n## {name}, {result.machine.time}, load {before:.1f} before, {after:.1f} after\n")
        lines.append("| what | ours p50 | p90 | bare p50 | p90 | reached | to reach | |")
        lines.append("|---|---:|---:|---:|---:|---:|---:|---|")
        lines += [_line(row) for row in result.rows]
        lines += [f"\n{row.name}: {row.note}" for row in result.rows if row.note]
        lines += [line for table in result.tables for line in _table(table)]
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    """A table as it stands on the page."""
    rule = "|---|" + "---:|" * (len(table.columns) - 1)
    rows = ["| " + " | ".join(cells) + " |" for cells in (table.columns, *table.lines)]
    return [f"\n### {table.title}\n", rows[0], rule, *rows[1:], f"\n{table.note}"]


def _line(row: Row) -> str:
    bare = [_shown(median(row.bare)), _shown(percentile(row.bare, 0.9))] if row.bare else ["", ""]
    sign, reached = ("≥" if row.at_least else "≤"), "yes" if row.holds else "**no**"
    factor = " × bare" if row.judged == "ratio" else ""
    ours = [f"{_shown(median(row.ours))} {row.unit}", _shown(percentile(row.ours, 0.9))]
    cells = [row.what, *ours, *bare, _shown(row.value), f"{sign} {row.limit:g}{factor}", reached]
    return "| " + " | ".join(cells) + " |"


def _shown(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"
