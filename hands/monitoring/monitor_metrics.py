"""All watched metrics: unit, least difference that matters, and default thresholds (pure).

One table, so that a new metric is one row here and one line where it is read (monitor_reading.py). A metric of one of
several things names it after a colon (`disk_percent:/home`); its row is that of the part before the colon.
"""

from typing import Final, Literal

import msgspec

Unit = Literal["percent", "bytes", "bytes_per_second", "seconds", "ms", "count", "celsius", "flag"]
Kind = Literal["machine", "process", "file", "http", "tcp"]
Side = Literal["above", "below", "both"]

MINUTE: Final = 60_000
MIB: Final = float(1 << 20)


class Metric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One metric. judged: whether it is checked for anomalies.

    floor, floor_share: the least spread that a series is assumed to have, absolute and as a share of its centre. An anomaly
    is at least 3.5 spreads away (or as the sensitivity says), so these set which difference is large enough for a person
    to care, and keep a constant series from a division by zero.
    side: which direction matters. hold_ms: how long it must stay unusual before that is an alert.
    """

    unit: Unit
    judged: bool = True
    floor: float = 0.0
    floor_share: float = 0.0
    side: Side = "above"
    hold_ms: int = 10 * MINUTE


FLAG: Final = Metric(unit="flag", judged=False)

METRICS: Final[dict[str, Metric]] = {
    # this machine
    "cpu_percent": Metric(unit="percent", floor=8.0),
    "iowait_percent": Metric(unit="percent", floor=5.0),
    "memory_percent": Metric(unit="percent", floor=3.0),
    "swap_percent": Metric(unit="percent", floor=3.0),
    "load_per_core": Metric(unit="count", floor=0.3, floor_share=0.2),
    "disk_percent": Metric(unit="percent", floor=1.0, side="both"),
    "inodes_percent": Metric(unit="percent", floor=1.0),
    "received_per_second": Metric(unit="bytes_per_second", floor=MIB, floor_share=0.5),
    "sent_per_second": Metric(unit="bytes_per_second", floor=MIB, floor_share=0.5),
    "celsius": Metric(unit="celsius", floor=4.0),
    "uptime_seconds": Metric(unit="seconds", judged=False),
    # processes; cpu_percent is of one processor
    "up": FLAG,
    "processes": Metric(unit="count", floor=1.0, floor_share=0.3, side="both", hold_ms=5 * MINUTE),
    "process_cpu_percent": Metric(unit="percent", floor=15.0),
    "process_memory_bytes": Metric(unit="bytes", floor=20 * MIB, floor_share=0.1),
    # files
    "exists": FLAG,
    "changed": FLAG,
    "size_bytes": Metric(unit="bytes", floor=MIB, floor_share=0.1, side="both"),
    "age_seconds": Metric(unit="seconds", floor=300.0, floor_share=0.5),
    # endpoints
    "status": Metric(unit="count", judged=False),
    "latency_ms": Metric(unit="ms", floor=20.0, floor_share=0.25, hold_ms=3 * MINUTE),
    "body_bytes": Metric(unit="bytes", floor=1024.0, floor_share=0.2, side="both", hold_ms=5 * MINUTE),
}

KIND_METRICS: Final[dict[Kind, tuple[str, ...]]] = {
    "machine": (
        "cpu_percent", "iowait_percent", "memory_percent", "swap_percent", "load_per_core", "disk_percent",
        "inodes_percent", "received_per_second", "sent_per_second", "celsius", "uptime_seconds",
    ),
    "process": ("up", "processes", "process_cpu_percent", "process_memory_bytes"),
    "file": ("exists", "changed", "size_bytes", "age_seconds"),
    "http": ("up", "status", "latency_ms", "body_bytes"),
    "tcp": ("up", "latency_ms"),
}  # fmt: skip
"""The metrics of each kind of target, and so those that its settings may name."""

DEFAULT_RULES: Final[dict[Kind, dict[str, tuple[str, ...]]]] = {
    "machine": {
        "cpu_percent": ("> 95 for 10m clear 85",),
        "memory_percent": ("> 90 for 5m clear 85", "critical > 97 for 1m clear 92"),
        "swap_percent": ("> 80 for 10m clear 60",),
        "load_per_core": ("> 4 for 10m clear 2",),
        "disk_percent": ("> 90 for 1m clear 88", "critical > 97 for 1m clear 95"),
        "inodes_percent": ("> 90 for 1m clear 88", "critical > 97 for 1m clear 95"),
        "celsius": ("> 95 for 5m clear 85",),
    },
    "process": {"up": ("critical < 1",)},
    "file": {"exists": ("< 1",)},
    "http": {"up": ("critical < 1 for 1m",)},
    "tcp": {"up": ("critical < 1 for 1m",)},
}
"""Default thresholds; naming a metric in a target's settings replaces them."""


def base_name(metric: str) -> str:
    """A metric's name without the thing after the colon."""
    return metric.partition(":")[0]


def row(metric: str) -> Metric:
    """The metric's row; FLAG, never judged, for a metric without one (from an older version's history)."""
    return METRICS.get(base_name(metric), FLAG)
