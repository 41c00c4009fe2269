"""The bench `memory`: quality on collections, speed as it grows, many at once (acts)."""

from pathlib import Path
from typing import Final

from tests.bench import memory_crowd, memory_quality, memory_speed
from tests.bench.judged import OWN
from tests.bench.samples import Row, Table

FURTHER: Final[list[Path]] = []
"""Collections that the command line adds."""


def memory(folder: Path, rounds: int) -> list[Row | Table]:
    """Quality on our own collections and on those that are named, speed up to 100,000 fragments, and many at once."""
    found = memory_quality.measured(folder / "quality", (*OWN, *FURTHER))
    found += memory_speed.measured(folder / "speed", memory_speed.SIZES)
    return found + memory_crowd.measured(folder / "crowd")


def million(folder: Path, rounds: int) -> list[Row | Table]:
    """Speed at a million fragments, which takes a quarter of an hour to fill."""
    return memory_speed.measured(folder, (memory_speed.LARGE,))
