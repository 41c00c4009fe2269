"""Reads what describes the machine and its processes, mostly from /proc (acts)."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import zmq

from tests.bench.samples import Machine


def describe(folder: Path, load_before: float) -> Machine:
    """Describe this machine. folder: where the homes are, for its file system."""
    return Machine(
        cpu=_field("/proc/cpuinfo", "model name"),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=int(_field("/proc/meminfo", "MemTotal").split()[0]) / 1_048_576,
        kernel=platform.release(),
        python=platform.python_version(),
        zmq=f"{zmq.zmq_version()} (pyzmq {zmq.__version__})",
        file_system=_file_system(folder),
        load=(load_before, os.getloadavg()[0]),
        time=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _field(path: str, name: str) -> str:
    """The value of the first `name: value` line in a file; "0" when there is none."""
    for line in Path(path).read_text().splitlines():
        key, _, text = line.partition(":")
        if key.strip() == name:
            return text.strip()
    return "0"


def _file_system(folder: Path) -> str:
    """The type of the file system that a folder is on."""
    found = ("/", "unknown")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, at, kind, *_ = line.split()
        if str(folder.resolve()).startswith(at) and len(at) >= len(found[0]):
            found = (at, kind)
    return found[1]


def available() -> int:
    """Bytes of memory that this machine could give to new programs."""
    return int(_field("/proc/meminfo", "MemAvailable").split()[0]) * 1024


def pss(pid: int) -> int:
    """Bytes of memory of a process, each shared page divided by the number of processes that share it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process, in seconds, with a resolution of nanoseconds."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def children(pid: int) -> list[int]:
    """The ids of a process's child processes."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found
