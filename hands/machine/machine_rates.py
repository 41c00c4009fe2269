"""Percentages from two readings, and rows from many processes (pure).

Separate from the readers so that arithmetic on counters is tested without a machine. Counters may stand still or go
back (a processor unplugged, a counter that wraps); then a rate is 0, never negative and never a division by zero.
"""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

MOST_DEFAULT: Final = 50
MOST_MAX: Final = 1_000

MATCH_MOST: Final = 256
"""The most characters of a pattern of process names."""

FIRST_WAIT_SECONDS: Final = 0.2
"""How long a first call waits between its two readings."""

SHORTEST_SECONDS: Final = 0.05
"""Two readings closer together than this are useless: the kernel counts in steps of 10 ms."""

OLDEST_SECONDS: Final = 300.0
"""A reading older than this is too old to compare with: "now" would mean the last hours."""

ENDED: Final = frozenset(("zombie", "dead"))
"""States of a process that has ended and whose parent has not yet waited for it."""

BUSY_FIELDS: Final = ("user", "nice", "system", "irq", "softirq", "steal")
IDLE_FIELDS: Final = ("idle", "iowait")


class ProcessRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One process. cpu_seconds: user and system time since its start. created: its start in epoch seconds.

    The command line is left out: arguments often hold passwords.
    """

    pid: int
    parent: int
    name: str
    status: str
    uid: int | None
    threads: int
    created: float
    cpu_seconds: float
    memory_bytes: int


def sendable(name: str) -> str:
    """A process name or path as a reply can carry it: bytes that are not UTF-8, which anybody may choose, become `\\xff`."""
    return name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shortest_wait(last_read: float | None, now: float) -> float:
    """Seconds to wait between an earlier reading and this one; 0 if the last reading will do as the earlier one."""
    if last_read is not None and SHORTEST_SECONDS <= now - last_read <= OLDEST_SECONDS:
        return 0.0
    return FIRST_WAIT_SECONDS


def cpu_percent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Shares of processor time between two readings of /proc/stat, as percent of all processors, 0 to 100.

    Guest time is left out: Linux includes it in user time.
    """
    spent = {field: max(0.0, after.get(field, 0.0) - before.get(field, 0.0)) for field in BUSY_FIELDS + IDLE_FIELDS}
    whole = sum(spent.values())

    def share(*fields: str) -> float:
        return round(100.0 * sum(spent[field] for field in fields) / whole, 2) if whole > 0 else 0.0

    return {
        "percent": share(*BUSY_FIELDS),
        "user_percent": share("user", "nice"),
        "system_percent": share("system", "irq", "softirq"),
        "iowait_percent": share("iowait"),
        "steal_percent": share("steal"),
    }


def process_percent(before: float | None, after: float, seconds: float) -> float:
    """Percent of one processor that a process used, over 100 if it used several; 0 if it is new."""
    if before is None or seconds <= 0:
        return 0.0
    return round(max(0.0, after - before) / seconds * 100.0, 2)


def matching(pattern: str) -> re.Pattern[str]:
    """A regular expression for whole process names. Not fnmatchcase, which caches every pattern it sees."""
    return re.compile(f"{re.escape(pattern)}|{fnmatch.translate(pattern)}" if pattern else ".*", re.DOTALL)


def listing(
    rows: Iterable[ProcessRow], percents: Mapping[int, float], *, match: str, most: int, now: float
) -> dict[str, object]:
    """The reply of machine.processes: busiest first, then largest; totals over all that match, listed or not.

    percents: percent of one processor by pid. now: epoch seconds.
    """
    wanted = matching(match)
    chosen = [row for row in rows if wanted.fullmatch(row.name)]
    chosen.sort(key=lambda row: (-percents.get(row.pid, 0.0), -row.memory_bytes, row.pid))
    total = {
        "count": len(chosen),
        "cpu_percent": round(sum(percents.get(row.pid, 0.0) for row in chosen), 2),
        "memory_bytes": sum(row.memory_bytes for row in chosen),
        "threads": sum(row.threads for row in chosen),
        "ended": sum(row.status in ENDED for row in chosen),
    }
    listed = [
        {
            "pid": row.pid,
            "parent": row.parent,
            "name": row.name,
            "status": row.status,
            "uid": row.uid,
            "threads": row.threads,
            "age_seconds": max(0, int(now - row.created)),
            "cpu_percent": percents.get(row.pid, 0.0),
            "cpu_seconds": round(row.cpu_seconds, 2),
            "memory_bytes": row.memory_bytes,
        }
        for row in chosen[:most]
    ]
    return {"processes": listed, "total": total, "more": len(chosen) > most}
