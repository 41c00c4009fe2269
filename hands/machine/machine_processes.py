"""Reads the list of processes through psutil (acts).

The run is process 1 of its own PID namespace while /proc shows the machine's numbers, so nothing here asks psutil
about "this process", sends a signal, or takes a number from os.getpid().
"""

import time
from typing import Final

import psutil

from machine_rates import ProcessRow, listing, process_percent, sendable

UNREADABLE: Final = (psutil.Error, OSError, ValueError, IndexError, KeyError)
"""What one process that is ending or not ours can raise; the list goes on without it."""

_ALL_UIDS: Final = 2**32 - 1

Ident = tuple[int, float]
"""A process number with its start time: numbers are used again."""


class ProcessReader:
    """Keeps each process's processor time from the last reading, to tell how busy it was since."""

    def __init__(self) -> None:
        self.last_read: float | None = None
        self._before: dict[Ident, float] = {}

    def mark(self, now: float) -> None:
        """Take a reading only to compare the next one with. now: monotonic seconds."""
        rows, _ = _rows()
        self._keep(rows, now)

    def read(self, now: float, match: str, most: int) -> dict[str, object]:
        """The answer of machine.processes but for its time; `missing` counts processes that could not be read."""
        rows, unread = _rows()
        seconds = now - self.last_read if self.last_read is not None else 0.0
        percents = {
            row.pid: process_percent(self._before.get((row.pid, row.created)), row.cpu_seconds, seconds) for row in rows
        }
        self._keep(rows, now)
        answer = listing(rows, percents, match=match, most=most, now=time.time())
        many = {why: f"{count} process{'' if count == 1 else 'es'}" for why, count in sorted(unread.items())}
        return {**answer, "missing": [{"sensor": sensor, "why": why} for why, sensor in many.items()]}

    def _keep(self, rows: list[ProcessRow], now: float) -> None:
        self._before = {(row.pid, row.created): row.cpu_seconds for row in rows}
        self.last_read = now


def _rows() -> tuple[list[ProcessRow], dict[str, int]]:
    """Every readable process, and how many were not readable, by reason; one that ended meanwhile is not counted."""
    rows: list[ProcessRow] = []
    unread: dict[str, int] = {}
    try:
        pids = psutil.pids()
    except OSError as error:
        return [], {f"/proc cannot be listed: {error.strerror}": 1}
    stand_in = _stand_in()
    for pid in pids:
        try:
            rows.append(_row(psutil.Process(pid), stand_in))
        except psutil.NoSuchProcess:
            continue
        except UNREADABLE as error:
            why = type(error).__name__
            unread[why] = unread.get(why, 0) + 1
    return rows, unread


def _row(process: psutil.Process, stand_in: int | None) -> ProcessRow:
    with process.oneshot():
        times = process.cpu_times()
        return ProcessRow(
            pid=process.pid,
            parent=process.ppid(),
            name=sendable(process.name()),
            status=str(process.status()),
            uid=_uid(process, stand_in),
            threads=process.num_threads(),
            created=process.create_time(),
            cpu_seconds=times.user + times.system,
            memory_bytes=process.memory_info().rss,
        )


def _uid(process: psutil.Process, stand_in: int | None) -> int | None:
    """The owner's user id, as this user namespace numbers it; None for one that it does not map."""
    try:
        uid = int(process.uids().real)
    except psutil.NoSuchProcess:
        raise
    except UNREADABLE:
        return None
    return None if uid == stand_in else uid


def _stand_in() -> int | None:
    """The user id that the system shows for all that this user namespace does not map; None if it maps all.

    See user_namespaces(7): a run of an ordinary user has a namespace that maps one user id.
    """
    try:
        with open("/proc/self/uid_map", encoding="ascii") as lines:
            mapped = sum(int(line.split()[2]) for line in lines)
        with open("/proc/sys/kernel/overflowuid", encoding="ascii") as file:
            return None if mapped >= _ALL_UIDS else int(file.read())
    except UNREADABLE:
        return None
