"""The tree of a process: its descendants, their memory and processor time (acts: reads /proc, see proc(5))."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_TABLES, _SWAP = "VmPTE:", "VmSwap:"

COUNTED: Final = 4 * 1024**3
"""Bytes of a run's processes up to which it is found out what they share."""


def tree_of(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants, parents first; nothing for pid 0.

    Each process is yielded before its children are read, so a caller that stops each as it comes misses none: a stopped
    process neither forks nor reaps.
    """
    pids = [pid] if pid else []
    for parent in pids:
        yield parent
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children", encoding="ascii") as file:
                    pids += map(int, file.read().split())
        except OSError:
            continue  # ended meanwhile


def cpu_of_descendants(processes: Sequence[int]) -> float:
    """Return the seconds of processor time of all but the first of these processes, and of all children that they reaped.

    processes: parents first, as tree_of() yields them. Otherwise a child reaped between two reads would count twice.
    """
    stats = [_stat(f"/proc/{pid}/stat") for pid in processes]
    return sum(sum(map(int, stat[11 if number else 13 : 15])) for number, stat in enumerate(stats)) / _TICKS


def _stat(path: str) -> list[str]:
    """Return the fields of a /proc stat file from the state letter on; [""] if the process is gone."""
    with suppress(OSError), open(path, encoding="ascii", errors="replace") as file:
        return file.read().rpartition(") ")[2].split()
    return [""]


def telling(pid: int) -> int:
    """Return the thread of a process by which /proc tells of its memory and files: the first, or another if that has ended
    while others go on.
    """
    with suppress(OSError):
        return next((one for one in (pid, *map(int, os.listdir(f"/proc/{pid}/task"))) if _status(one, "VmRSS:")), pid)
    return pid


def resident(pid: int, *more: str) -> int:
    """Return the resident memory of a process in bytes, and `more` that its status names in /proc; 0 if it is gone."""
    return _status(pid, "VmRSS:", *more) or _status(telling(pid), "VmRSS:", *more)


def _status(thread: int, *names: str, file: str = "status") -> int:
    """Return the bytes of all sizes on the lines of a thread's /proc file that begin with these names; 0 if it is gone."""
    with suppress(OSError), open(f"/proc/{thread}/{file}", encoding="ascii", errors="replace") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith(names)) * 1024
    return 0


def resident_of_all(processes: Sequence[int], shared: int) -> int:
    """Return the bytes of memory of these processes, mapped files, page tables and swap included, without the `shared` bytes
    of each that it shared with the template at its start. What several of them share counts for each.
    """
    return sum(max(0, resident(pid, _TABLES, _SWAP) - shared) for pid in processes)


def memory_of(pid: int) -> int:
    """Return the bytes of memory of a process, with its part of what several share (PSS), if this user may read that.

    This may take a while: Linux visits each mapping, and each page as often as it is mapped.
    """
    thread = telling(pid)
    share = _status(thread, "Pss:", "SwapPss:", file="smaps_rollup")
    return share + _status(thread, _TABLES) if share else resident(thread, _TABLES, _SWAP)
