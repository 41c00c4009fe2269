"""How the time of a recall grows with the size of a memory, from the runs' tables: a table and a drawing (pure).

The table compares each time with those of peers. The drawing is SVG written here, both axes logarithmic: a plotting
package would be larger than the rest of the bench, and its pictures would load scripts from elsewhere.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, log10
from statistics import median
from typing import Final, NamedTuple

from tests.bench.samples import Table

TITLE: Final = "Recall as it grows"
SIZE: Final = "fragments"
FUSED: Final = "p95"
LINES: Final = (
    (FUSED, "fused, p95", "#0b6e4f"),
    ("fused p50", "fused, p50", "#7fb69e"),
    ("chromadb query p95", "chromadb, p95: vectors alone", "#b3541e"),
    ("bm25s query p95", "bm25s, p95: words alone, in memory", "#3d5a98"),
)
"""The columns of the runs' tables that are drawn: column, label, colour."""

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 70, 45, 20, 50


class Point(NamedTuple):
    """Milliseconds at one size, by column; a column that was not measured is missing."""

    size: int
    taken: dict[str, float]


def read_points(runs: Sequence[Sequence[Table]], last: int) -> list[Point]:
    """A point for each size, smallest first. runs: their tables, oldest first; last: of how many to take the median."""
    found: dict[int, dict[str, list[float]]] = {}
    for table in (one for tables in runs for one in tables if one.title == TITLE):
        for line in table.lines:
            cells = dict(zip(table.columns, line, strict=True))
            of_size = found.setdefault(int(cells[SIZE].replace(",", "")), {})
            for column, _, _ in LINES:
                if cells.get(column):
                    of_size.setdefault(column, []).append(float(cells[column].replace(",", "")))
    medians = {size: {column: median(all_[-last:]) for column, all_ in taken.items()} for size, taken in found.items()}
    return [Point(size, taken) for size, taken in sorted(medians.items())]


def make_table(of: Sequence[Point]) -> Table:
    """The points as a table, with the time of a fused recall as a multiple of each peer's."""
    lines = []
    for size, taken in of:
        cells = [f"{taken[column]:.1f}" if column in taken else "" for column, _, _ in LINES]
        peers = [taken.get(column) for column, _, _ in LINES[2:]]
        ratios = [f"{taken[FUSED] / peer:.2f} ×" if peer else "" for peer in peers]
        lines.append((f"{size:,}", *cells, *ratios))
    columns = (SIZE, *(called for _, called, _ in LINES), "fused beside chromadb", "beside bm25s")
    note = (
        "Milliseconds, medians of the last three runs of each size. Fused is words and vectors and what orders them, from a "
        "file; each peer does one of the two. At a million the peers were not filled."
    )
    return Table(title=TITLE, columns=columns, lines=tuple(lines), note=note)


def draw_svg(of: Sequence[Point]) -> str:
    """The points as an SVG drawing."""
    every = [value for point in of for value in point.taken.values() if value > 0]
    across = (floor(log10(of[0].size)), ceil(log10(of[-1].size)))
    up = (floor(log10(min(every))), ceil(log10(max(every))))

    def x(size: float) -> float:
        return LEFT + (log10(size) - across[0]) / max(1, across[1] - across[0]) * (WIDTH - LEFT - RIGHT)

    def y(taken: float) -> float:
        return HEIGHT - BOTTOM - (log10(taken) - up[0]) / max(1, up[1] - up[0]) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for power in range(across[0], across[1] + 1):
        at = x(10.0**power)
        parts.append(_rule(at, TOP, at, HEIGHT - BOTTOM))
        parts.append(_text(at, HEIGHT - BOTTOM + 18, f"{10**power:,}", "middle"))
    for power in range(up[0], up[1] + 1):
        at = y(10.0**power)
        parts.append(_rule(LEFT, at, WIDTH - RIGHT, at))
        parts.append(_text(LEFT - 8, at + 4, f"{10.0**power:g} ms", "end"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "fragments in the memory", "middle"))
    for number, (column, called, colour) in enumerate(LINES):
        there = [(x(point.size), y(point.taken[column])) for point in of if point.taken.get(column)]
        parts += [_rule(*one, *other, colour, 2) for one, other in pairwise(there)]
        parts += [f'<circle cx="{at:.1f}" cy="{height:.1f}" r="3.5" fill="{colour}"/>' for at, height in there]
        parts.append(_text(LEFT + 14, TOP + 18 + 17 * number, called, "start", colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str = "#dddddd", width: float = 1) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, words: str, anchor: str, colour: str = "#333333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'
