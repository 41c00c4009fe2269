"""The types of what was measured, as run-*.json has it (pure). tests/bench/report.py makes the pages from them."""

from collections.abc import Sequence
from statistics import median

from msgspec import Struct


class Row(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A measured number and its limit. ours, bare: raw samples in `unit`; bare is empty when nothing is compared.

    judged: how the value is made, `ratio` (median of ours ÷ median of bare) or `median` (of ours). It must be at most
    `limit`, or with `at_least` at least that.
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
        """The value that is compared with the limit."""
        return median(self.ours) / median(self.bare) if self.judged == "ratio" else median(self.ours)

    @property
    def holds(self) -> bool:
        """Whether the value meets the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers that are compared with each other rather than with a limit: a table of its own below the rows."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    note: str = ""


class Machine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine that was measured on. load: the average of the last minute, before and after."""

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
    """One run of the bench: the content of a raw file."""

    machine: Machine
    rows: tuple[Row, ...]
    tables: tuple[Table, ...] = ()


def percentile(samples: Sequence[float], part: float) -> float:
    """The nearest-rank percentile of the samples. part: from 0 to 1."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
