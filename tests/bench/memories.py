"""What memory is measured by: quality on collections, speed as it grows, many at once (acts)."""

from pathlib import Path
from typing import Final

from tests.bench import memory_crowd, memory_quality, memory_speed
from tests.bench.judged import OWN
from tests.bench.samples import Row, Table

FURTHER: Final[list[Path]] = []
"""Collections that the command line adds."""


def memory(folder: Path, rounds: int) -> list[Row | Table]:
    """Quality on our own collections and on those that are named."""
    return memory_quality.measured(folder, (*OWN, *FURTHER))


def recall(folder: Path, rounds: int) -> list[Row | Table]:
    """Speed up to 100,000 fragments."""
    return memory_speed.measured(folder, memory_speed.SIZES)


def crowd(folder: Path, rounds: int) -> list[Row]:
    """Many who ask and store at once."""
    return memory_crowd.measured(folder)


def million(folder: Path, rounds: int) -> list[Row | Table]:
    """Speed at a million fragments, which takes a quarter of an hour to fill."""
    return memory_speed.measured(folder, (memory_speed.LARGE,))
