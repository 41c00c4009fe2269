"""Reads this machine's sensors (acts). A sensor that cannot be read is listed as missing; it is no error.

psutil reads them, but for disks and interfaces, of which it would show those of the run's own namespaces. One function per
sensor, joined by the table SENSORS. Bytes and counts are ints, percentages floats from 0 to 100.
"""

import os
import time
from collections.abc import Callable
from typing import Final

import psutil

from machine_mounts import Mount, measure, mounts
from machine_network import interfaces
from machine_rates import cpu_percent, sendable

UNREADABLE: Final = (
    psutil.Error, OSError, ValueError, KeyError, IndexError, AttributeError, RuntimeError, ZeroDivisionError,
)  # fmt: skip
"""What a reader raises if /proc or /sys lacks a file, holds something unknown, or may not be read."""

Missing = list[dict[str, str]]


class SensorReader:
    """Reads all sensors; keeps the last processor times, to compute the load since then."""

    def __init__(self) -> None:
        self.last_read: float | None = None
        self._before: dict[str, float] = {}

    def mark(self, now: float) -> None:
        """Reads processor times only, for the next reading to compare with. now: monotonic seconds."""
        try:
            self._before = dict(psutil.cpu_times()._asdict())
        except UNREADABLE:
            self._before = {}
        self.last_read = now

    def read(self, now: float) -> dict[str, object]:
        """Reads every sensor. Values by name, None for each that could not be read; `missing` says why."""
        missing: Missing = []
        found: dict[str, object] = {"cpu": _attempt("cpu", lambda _: self._cpu(now), missing)}
        for name, sensor in SENSORS.items():
            found[name] = _attempt(name, sensor, missing)
        return {**found, "missing": missing}

    def _cpu(self, now: float) -> dict[str, object]:
        before, last = self._before, self.last_read
        after = dict(psutil.cpu_times()._asdict())
        self._before, self.last_read = after, now
        if not before or last is None:
            raise RuntimeError("there is no earlier reading to compare with")
        cores = psutil.cpu_count() or 1
        return {**cpu_percent(before, after), "cores": cores, "seconds": round(now - last, 3)}


def _attempt(name: str, sensor: Callable[[Missing], object], missing: Missing) -> object:
    try:
        return sensor(missing)
    except UNREADABLE as error:
        missing.append({"sensor": name, "why": _why(error)})
        return None


def _why(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{sendable(str(error.filename))}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _memory(_: Missing) -> dict[str, object]:
    memory = psutil.virtual_memory()
    return {
        "total_bytes": memory.total,
        "available_bytes": memory.available,
        "used_bytes": memory.total - memory.available,
        "percent": _percent(memory.total - memory.available, memory.total),
    }


def _swap(_: Missing) -> dict[str, object]:
    swap = psutil.swap_memory()
    return {"total_bytes": swap.total, "used_bytes": swap.used, "percent": _percent(swap.used, swap.total)}


def _load(_: Missing) -> dict[str, object]:
    one, five, fifteen = os.getloadavg()
    cores = psutil.cpu_count() or 1
    return {
        "one": round(one, 2),
        "five": round(five, 2),
        "fifteen": round(fifteen, 2),
        "five_per_core": round(five / cores, 3),
    }


def _disks(missing: Missing) -> list[dict[str, object]]:
    """Filesystems on devices, each device once (at its shortest visible mount point), and always the root."""
    measured: set[str] = set()
    hidden: dict[str, dict[str, str]] = {}
    disks: list[dict[str, object]] = []
    for mount in mounts():
        if mount.device in measured:
            continue
        try:
            stat = measure(mount)
        except OSError as error:
            if mount.on_device:
                hidden.setdefault(mount.device, {"sensor": f"disks {sendable(mount.point)}", "why": _why(error)})
            continue
        if stat is not None:
            measured.add(mount.device)
            disks.append(_disk(mount, stat))
    missing.extend(row for device, row in hidden.items() if device not in measured)
    return sorted(disks, key=lambda disk: str(disk["mount"]))


def _disk(mount: Mount, stat: os.statvfs_result) -> dict[str, object]:
    """One filesystem. `percent` is of what an ordinary user can use, as `df` shows it."""
    used = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    free = stat.f_bavail * stat.f_frsize
    return {
        "mount": sendable(mount.point),
        "device": sendable(mount.device),
        "kind": mount.kind,
        "total_bytes": stat.f_blocks * stat.f_frsize,
        "used_bytes": used,
        "free_bytes": free,
        "percent": _percent(used, used + free),
        "inodes_percent": _percent(stat.f_files - stat.f_ffree, stat.f_files),
        "readonly": mount.readonly,
    }


def _disk_io(_: Missing) -> dict[str, object]:
    total = psutil.disk_io_counters(nowrap=False)
    if total is None:
        raise RuntimeError("this machine shows no disk counters")
    return {
        "read_bytes": total.read_bytes,
        "written_bytes": total.write_bytes,
        "reads": total.read_count,
        "writes": total.write_count,
    }


def _network(_: Missing) -> list[dict[str, object]]:
    return interfaces()


def _temperatures(_: Missing) -> list[dict[str, object]]:
    found = psutil.sensors_temperatures()
    if not found:
        raise RuntimeError("this machine shows no temperature sensors")
    return [
        {
            "name": sendable(f"{chip} {entry.label}".strip()),
            "celsius": round(entry.current, 1),
            "critical_celsius": entry.critical,
        }
        for chip, entries in sorted(found.items())
        for entry in entries
    ]


def _uptime(_: Missing) -> dict[str, object]:
    booted = psutil.boot_time()
    return {"booted_ms": int(booted * 1000), "seconds": max(0, int(time.time() - booted))}


def _percent(part: int, whole: int) -> float:
    return round(100.0 * part / whole, 2) if whole > 0 else 0.0


SENSORS: Final[dict[str, Callable[[Missing], object]]] = {
    "memory": _memory,
    "swap": _swap,
    "load": _load,
    "disks": _disks,
    "disk_io": _disk_io,
    "network": _network,
    "temperatures": _temperatures,
    "uptime": _uptime,
}
"""Every sensor but the processor, which needs two readings. To add one: a function, a row here, a name under `returns`."""
