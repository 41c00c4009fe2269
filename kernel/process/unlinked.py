"""Measures files without a name (acts: reads /proc), which take room on a disk and lie in no folder."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from math import inf

from kernel.folders import check_time
from kernel.process_tree import telling


def measure_unlinked(processes: Iterable[int], device: int, until: float = inf) -> int:
    """Return the bytes on a disk of unlinked files that these processes have open or mapped.

    Counts only processes that this user may inspect; root may inspect all. until: as in measure().
    """
    found: dict[int, int] = {}
    for process in map(telling, processes):
        maps = partial(_unlinked_maps, until)
        for place, names in ((f"/proc/{process}/fd", os.listdir), (f"/proc/{process}/map_files", maps)):
            with suppress(OSError):
                for name in names(place):
                    check_time(until)
                    with suppress(OSError):  # closed meanwhile
                        file = os.stat(f"{place}/{name}")
                        if file.st_nlink == 0 and file.st_dev == device and stat.S_ISREG(file.st_mode):
                            found[file.st_ino] = file.st_blocks * 512
    return sum(found.values())


def _unlinked_maps(until: float, place: str) -> Iterator[str]:
    """Yield the names in map_files of a process's mappings that its `maps` marks as deleted (proc_pid_maps(5)).

    An interpreter has hundreds of mappings: to call stat() on each takes five times as long.
    """
    with open(os.path.join(os.path.dirname(place), "maps"), "rb") as maps:
        for line in maps:
            check_time(until)
            if line.endswith(b" (deleted)\n"):
                yield "-".join(f"{int(address, 16):x}" for address in line.split(maxsplit=1)[0].split(b"-"))
