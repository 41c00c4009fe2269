"""The processes of a run (acts): the first one and all that came of it, as /proc tells."""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> Iterator[int]:
    """The process and its descendants, none for 0. Each comes before its children are looked for, so that who stops
    one first is told of all that it has made: one that is stopped reaps none and makes no more.
    """
    found = [pid] if pid else []
    for one in found:
        yield one
        try:
            for thread in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{thread}/children", encoding="ascii") as file:
                    found += map(int, file.read().split())
        except OSError:
            continue  # it has ended


def stirs(pid: int) -> bool:
    """Whether a thread of a process runs, or waits to: it was not stopped, or did not stay so.

    All are asked, since the first one may have ended before the others.
    """
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        return any(_stat(f"/proc/{pid}/task/{thread}/stat")[0] in ("R", "S") for thread in threads)
    except OSError:
        return False


def cpu_beside(processes: Sequence[int]) -> float:
    """Seconds of processor time that all of a family but its first process have used, also those that were waited for.

    processes: each before its children, so that none is counted by itself and as one that was waited for.
    """
    told = [_stat(f"/proc/{pid}/stat") for pid in processes]
    return sum(sum(map(int, stat[11 if number else 13 : 15])) for number, stat in enumerate(told)) / _TICKS


def _stat(path: str) -> list[str]:
    """What /proc tells of a process or thread from the letter of its state on (proc(5)); [""] when it is gone."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().rpartition(") ")[2].split()
    except OSError:
        return [""]


def resident(pid: int) -> int:
    """Resident memory of a process in bytes; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def held(processes: Iterable[int]) -> int:
    """Bytes that these processes hold, what several share counted once (PSS); as resident() where that cannot be read."""
    return sum(map(_proportional, processes))


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024
    except OSError:
        return resident(pid)
