"""What was measured, as values (pure). The pages that people read of them: tests/bench/report.py."""

from collections.abc import Sequence
from statistics import median

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
