"""Turns the providers' replies into numbers (pure): replies of machine, files and web as metrics, state and facts.

Separate from the calls (monitor_probe.py), so that every odd reply is tested without a call. A reply of unexpected shape
means that the target cannot be checked, never a crash: a provider may be newer than this Hand.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

OURS: Final = frozenset(
    ("arguments", "ended", "no provider", "private address", "permission", "unknown root", "reserved name", "busy",
     "too large", "disk error", "settings", "rate", "poison", "cancelled", "symbolic link", "outcome unknown", "cpu",
     "raised", "room", "finishing")
)  # fmt: skip
"""Failure codes about the way to a target, not the target: it cannot be checked. All others mean that it is down."""

REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


class Observation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The result of one look. at: epoch ms. checked: whether the target could be looked at; why: why not, or why it is down.

    facts: texts whose change is reported (a file's size and time, a status).
    """

    target: str
    at: int
    checked: bool = True
    why: str = ""
    metrics: dict[str, float] = {}
    facts: dict[str, str] = {}


class Counters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine's network counters at a time, to compute rates from."""

    at: int
    received: float
    sent: float


def unchecked(target: str, at: int, why: str) -> Observation:
    """The observation of a target that could not be looked at."""
    return Observation(target=target, at=at, checked=False, why=why)


def read_machine(target: str, at: int, reply: object, before: Counters | None) -> tuple[Observation, Counters | None]:
    """Reads a reply of machine.stats. before: the counters of the last look; rates are over the time between."""
    if not isinstance(reply, Mapping):
        return unchecked(target, at, "machine.stats answered something that is not a table"), before
    found: dict[str, float] = {}
    for metric, section, key in _MACHINE_NUMBERS:
        _take(found, metric, _within(reply, section), key)
    for disk in _rows(reply.get("disks")):
        if disk.get("readonly") is True:
            continue  # a read-only image is always full
        mount = str(disk.get("mount", "?"))
        _take(found, f"disk_percent:{mount}", disk, "percent")
        _take(found, f"inodes_percent:{mount}", disk, "inodes_percent")
    heat = [number for row in _rows(reply.get("temperatures")) if (number := _number(row.get("celsius"))) is not None]
    if heat:
        found["celsius"] = max(heat)
    counters = _counters(at, _rows(reply.get("network")))
    if counters and before and counters.at > before.at:
        seconds = (counters.at - before.at) / 1000
        found["received_per_second"] = max(0.0, counters.received - before.received) / seconds
        found["sent_per_second"] = max(0.0, counters.sent - before.sent) / seconds
    if not found:
        return unchecked(target, at, "no sensor of this machine could be read"), counters
    return Observation(target=target, at=at, metrics=found), counters


def read_processes(target: str, at: int, reply: object) -> Observation:
    """Reads a reply of machine.processes for one name."""
    total = _within(reply, "total") if isinstance(reply, Mapping) else {}
    count = _number(total.get("count"))
    if count is None:
        return unchecked(target, at, "machine.processes answered without a total")
    count -= _number(total.get("ended")) or 0.0
    found = {"up": 1.0 if count else 0.0, "processes": count}
    _take(found, "process_cpu_percent", total, "cpu_percent")
    _take(found, "process_memory_bytes", total, "memory_bytes")
    return Observation(target=target, at=at, metrics=found, why="" if count else "no such process is running")


def read_file(target: str, at: int, reply: object) -> Observation:
    """Reads a reply of files.stat for a file that exists."""
    if not isinstance(reply, Mapping):
        return unchecked(target, at, "files.stat answered something that is not a table")
    found = {"exists": 1.0}
    _take(found, "size_bytes", reply, "size")
    modified = _moment(reply.get("modified"))
    if modified is not None:
        found["age_seconds"] = max(0.0, (at - modified) / 1000)
    facts = {"file": f"{reply.get('kind')} of {reply.get('size')} bytes, modified {reply.get('modified')}"}
    return Observation(target=target, at=at, metrics=found, facts=facts)


def absent_file(target: str, at: int, why: str) -> Observation:
    """The observation of a file that does not exist."""
    return Observation(target=target, at=at, metrics={"exists": 0.0}, facts={"file": "absent"}, why=why)


def read_endpoint(
    target: str, at: int, *, status: int, elapsed_us: int, body_bytes: int, expect: int, contains: str, found_text: bool
) -> Observation:
    """Reads the last hop of a fetch. Up: the status is the expected one (below 400 if none is), and the text is there."""
    why = ""
    if (expect and status != expect) or (not expect and status >= 400):
        why = f"status {status}" + (f" instead of {expect}" if expect else "")
    elif contains and not found_text:
        why = f'the answer does not contain "{contains}"'
    metrics = {
        "up": 0.0 if why else 1.0,
        "status": float(status),
        "latency_ms": elapsed_us / 1000,
        "body_bytes": float(body_bytes),
    }
    return Observation(target=target, at=at, metrics=metrics, facts={"status": str(status)}, why=why)


def failed_endpoint(target: str, at: int, code: str, text: str) -> Observation:
    """The observation of an endpoint whose call failed: down, or not checked if the way to it failed."""
    why = f"{code}: {text}" if text else code
    if code in OURS:
        return unchecked(target, at, why)
    return Observation(target=target, at=at, metrics={"up": 0.0}, why=why)


def location(reply: Mapping[object, object]) -> str:
    """A redirect's target, from `location` or from the headers in either usual shape; "" if there is none."""
    direct = reply.get("location")
    if isinstance(direct, str):
        return direct
    headers = reply.get("headers")
    pairs: list[tuple[object, object]] = []
    if isinstance(headers, Mapping):
        pairs = list(headers.items())
    elif isinstance(headers, Sequence) and not isinstance(headers, str | bytes):
        pairs = [(each[0], each[1]) for each in headers if isinstance(each, list | tuple) and len(each) == 2]
    return next((str(value) for name, value in pairs if str(name).lower() == "location" and isinstance(value, str)), "")


def whole(value: object) -> int:
    """A reply's number as an int; 0 if it is not a number."""
    number = _number(value)
    return 0 if number is None else int(number)


_MACHINE_NUMBERS: Final = (
    ("cpu_percent", "cpu", "percent"),
    ("iowait_percent", "cpu", "iowait_percent"),
    ("memory_percent", "memory", "percent"),
    ("swap_percent", "swap", "percent"),
    ("load_per_core", "load", "five_per_core"),
    ("uptime_seconds", "uptime", "seconds"),
)


def _within(reply: Mapping[object, object], section: str) -> Mapping[object, object]:
    part = reply.get(section)
    return part if isinstance(part, Mapping) else {}


def _rows(value: object) -> list[Mapping[object, object]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list | tuple) else []


def _take(found: dict[str, float], metric: str, row: Mapping[object, object], key: str) -> None:
    number = _number(row.get(key))
    if number is not None:
        found[metric] = number


def _number(value: object) -> float | None:
    """A finite number as a float; None for anything else, also a bool, NaN and infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 else None


def _counters(at: int, rows: list[Mapping[object, object]]) -> Counters | None:
    """The traffic of all interfaces but the loopback; None if unknown."""
    outer = [row for row in rows if row.get("name") != "lo"]
    received = [n for row in outer if (n := _number(row.get("received_bytes"))) is not None]
    sent = [n for row in outer if (n := _number(row.get("sent_bytes"))) is not None]
    return Counters(at=at, received=sum(received), sent=sum(sent)) if received and sent else None


def _moment(value: object) -> int | None:
    """Epoch milliseconds of an RFC 3339 text, or of a number of seconds."""
    if isinstance(value, str):
        try:
            return int(datetime.fromisoformat(value).timestamp() * 1000)
        except (ValueError, OverflowError):
            return None
    number = _number(value)
    return None if number is None else int(number * 1000)
