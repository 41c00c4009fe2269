"""Durations and sizes as people write them; the table of [limits]; and the user ids of runs (pure).

Separate because a HAND.toml, a setting and an argument of a call all use the same spellings.
Within Maniple a duration is an integer of milliseconds and a size an integer of bytes. They are written as one number and
one unit: "90s" and not "1m30s", "256MiB" and not "256 MB", so that no two parsers can disagree.
Raises ValueInvalid with what to write instead.
"""

import re
from typing import Final, Literal, NamedTuple

from manifests.errors import ValueInvalid

MILLISECONDS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
BYTES: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
LONGEST_MS: Final = 3_650 * MILLISECONDS["d"]
LARGEST: Final = 1 << 52

_NUMBER_UNIT: Final = r"(?a)(0|[1-9][0-9]{0,15})([A-Za-z]+)"

Unit = Literal["bytes", "ms", "count"]


class Limit(NamedTuple):
    """One row of [limits]: the unit in which it is stored, its default, and the least and most that a HAND.toml may set.

    The floors of memory, processes and open files are little more than any Hand needs to start: for an interpreter, the
    threads of its bus, and a program.
    """

    unit: Unit
    default: int
    floor: int
    ceiling: int


LIMITS: Final[dict[str, Limit]] = {
    "memory": Limit("bytes", 256 * BYTES["MiB"], 48 * BYTES["MiB"], 64 * BYTES["GiB"]),
    "cpu": Limit("ms", 60_000, 1_000, 30 * MILLISECONDS["d"]),
    "wall": Limit("ms", 600_000, 100, 365 * MILLISECONDS["d"]),
    "processes": Limit("count", 8, 4, 1_024),
    "open_files": Limit("count", 64, 24, 65_536),
    "file_size": Limit("bytes", 100 * BYTES["MiB"], 0, BYTES["TiB"]),
    "disk": Limit("bytes", BYTES["GiB"], BYTES["MiB"], 16 * BYTES["TiB"]),
    "calls_per_minute": Limit("count", 300, 1, 6_000_000),
    "in_flight": Limit("count", 16, 1, 1_024),
    "fuel": Limit("count", 10_000_000_000, 1_000, 10**15),
}

WASM_OWN: Final = 64 * BYTES["MiB"]
"""Memory of a WASM Hand's process without its guests: the interpreter, the compiled module, the threads' stacks."""

WASM_LEAST: Final = 96 * BYTES["MiB"]
"""The least `memory` of a WASM Hand."""


def guest_memory(memory: int, at_once: int) -> int:
    """Return the bytes that each of `at_once` guests may have, in whole pages, if the Hand's process may have `memory`.

    It does not depend on the machine's state, so that a guest ends the same way each time.
    """
    return (memory - WASM_OWN) // at_once // 65_536 * 65_536


def is_duration(text: str) -> bool:
    """Whether a text has the form of a duration, even one above the limit."""
    match = re.fullmatch(_NUMBER_UNIT, text)
    return match is not None and match[2] in MILLISECONDS


def parse_duration(text: str) -> int:
    """Parse "250ms", "60s", "10m", "2h" or "1d" into milliseconds; at most 3650d."""
    amount = _parse(text, MILLISECONDS, 'write a whole number and ms, s, m, h or d, such as "60s"')
    if amount > LONGEST_MS:
        raise ValueInvalid(f'"{text}" is more than ten years', 'write at most "3650d"')
    return amount


def parse_size(text: str) -> int:
    """Parse "512B", "64KiB", "256MiB", "2GiB" or "1TiB" into bytes; at most 2**52."""
    match = re.fullmatch(_NUMBER_UNIT, text)
    if (
        match
        and match[2] not in BYTES
        and f"{match[2][0].upper()}iB" in BYTES
        and match[2].upper()[1:] in ("", "B", "IB")
    ):
        raise ValueInvalid(f'"{text}" is not a size', f'write "{match[1]}{match[2][0].upper()}iB"')
    amount = _parse(text, BYTES, 'write a whole number and B, KiB, MiB, GiB or TiB, such as "256MiB"')
    if amount > LARGEST:
        raise ValueInvalid(f'"{text}" is too large', 'write at most "4096TiB"')
    return amount


def format_duration(milliseconds: int) -> str:
    """Return the shortest text that parse_duration reads as the same number."""
    return _format(milliseconds, MILLISECONDS)


def format_size(size: int) -> str:
    """Return the shortest text that parse_size reads as the same number."""
    return _format(size, BYTES)


def format_limit(name: str, amount: int) -> str:
    """Format a limit as in [limits]: in quotes if it has a unit."""
    match LIMITS[name].unit:
        case "bytes":
            return f'"{format_size(amount)}"'
        case "ms":
            return f'"{format_duration(amount)}"'
        case "count":
            return str(amount)


def _parse(text: str, units: dict[str, int], instead: str) -> int:
    match = re.fullmatch(_NUMBER_UNIT, text)
    if match is None or match[2] not in units:
        raise ValueInvalid(f'"{text}" is not a {"size" if units is BYTES else "duration"}', instead)
    return int(match[1]) * units[match[2]]


def _format(amount: int, units: dict[str, int]) -> str:
    best = next(unit for unit in reversed(units) if amount % units[unit] == 0 and (amount or units[unit] == 1))
    return f"{amount // units[best]}{best}"


LOCKS_MOST: Final = 1_000
"""The most locks on parts of files that a run may hold: each takes Linux 192 bytes, which none of its limits counts."""

UID_BASE: Final = 770_000_000
UID_COUNT: Final = 65_536
SERVICE_UIDS: Final = 4_096
HOMES: Final = 16_384
"""As root, every run has a host user id of its own. Each home has UID_COUNT of them, in one of HOMES ranges from UID_BASE
on, chosen by its seed: otherwise two kernels on one machine would share ids, and with them the limit on processes. The
first SERVICE_UIDS are for services, one each for as long as they are installed, since it owns their `state/`; task runs
take the rest in turn."""

COMPILER_UID: Final = UID_BASE - 1
"""As root, the user id of the process that compiles a module, which belongs to no run."""


def uid_of(seed: int, installed: int, task_run: int | None) -> int:
    """Return the host user id of a run. seed: the home's; installed: the service's Installed.number; task_run: counts task
    runs, None for a service.
    """
    base = UID_BASE + seed % HOMES * UID_COUNT
    if task_run is None:
        return base + installed % SERVICE_UIDS
    return base + SERVICE_UIDS + task_run % (UID_COUNT - SERVICE_UIDS)
