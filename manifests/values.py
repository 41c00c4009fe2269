"""Durations, sizes and counts as people write them, and the table of limits with default, floor and ceiling (pure).

Separate because a HAND.toml, a setting and an argument of a call all use the same spellings.
Within Maniple a duration is an integer of milliseconds and a size an integer of bytes. One number and one unit, nothing
else: "90s" and not "1m30s", "256MiB" and not "256 MB", so that no two readers can disagree.
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
    """One row of [limits]: its unit as kept, the default, and the least and the most that a HAND.toml may ask for.

    No Hand comes up with much less memory, fewer processes or open files than the least: an interpreter, its bus's threads,
    and a program beside them.
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
"""What a WASM Hand's process needs beside its guests: the interpreter, the compiled module, the threads' stacks."""

WASM_LEAST: Final = 96 * BYTES["MiB"]
"""The least `memory` of a WASM Hand."""


def guest_memory(memory: int, at_once: int) -> int:
    """Bytes that each of so many guests may have at once, in whole pages, when its Hand's process may have `memory`.

    It depends on nothing that the machine does, so that a guest meets the same end each time.
    """
    return (memory - WASM_OWN) // at_once // 65_536 * 65_536


def is_duration(text: str) -> bool:
    """Whether a text is written as a duration is, of however many years."""
    match = re.fullmatch(_NUMBER_UNIT, text)
    return match is not None and match[2] in MILLISECONDS


def parse_duration(text: str) -> int:
    """Milliseconds of "250ms", "60s", "10m", "2h" or "1d", at most 3650d."""
    amount = _parse(text, MILLISECONDS, 'write a whole number and ms, s, m, h or d, such as "60s"')
    if amount > LONGEST_MS:
        raise ValueInvalid(f'"{text}" is more than ten years', 'write at most "3650d"')
    return amount


def parse_size(text: str) -> int:
    """Bytes of "512B", "64KiB", "256MiB", "2GiB" or "1TiB", at most 2**52."""
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
    """The shortest text that parse_duration reads back as the same number."""
    return _format(milliseconds, MILLISECONDS)


def format_size(size: int) -> str:
    """The shortest text that parse_size reads back as the same number."""
    return _format(size, BYTES)


def format_limit(name: str, amount: int) -> str:
    """A limit as one would write it in [limits]: quoted when it has a unit."""
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
"""Locks on parts of files that a run may hold: each takes the system 192 bytes, which no limit of the system's counts."""

UID_BASE: Final = 770_000_000
UID_COUNT: Final = 65_536
SERVICE_UIDS: Final = 4_096
HOMES: Final = 16_384
"""As root every run has a host user id of its own. Each home has UID_COUNT of them, in one of HOMES ranges from UID_BASE on,
chosen by its seed: two kernels on one machine would else share ids, and with them the limit on processes. Of these the
first SERVICE_UIDS are for services, one each for as long as they are installed, since their `state/` belongs to them; the
rest go round among task runs."""

COMPILER_UID: Final = UID_BASE - 1
"""As root what compiles a module is nobody's run, and has this one."""


def uid_of(seed: int, installed: int, task_run: int | None) -> int:
    """The host user id for a run: of the service that was installed as that number, or of that many-th task run.

    seed: the home's.
    """
    base = UID_BASE + seed % HOMES * UID_COUNT
    if task_run is None:
        return base + installed % SERVICE_UIDS
    return base + SERVICE_UIDS + task_run % (UID_COUNT - SERVICE_UIDS)
