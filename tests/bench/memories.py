"""The benches of memory: quality on collections, speed as it grows, many Hands at once (acts)."""

from pathlib import Path
from typing import Final

from tests.bench import memory_crowd, memory_quality, memory_speed
from tests.bench.judged import OWN
from tests.bench.samples import Row, Table

FURTHER: Final[list[Path]] = []
"""Folders of the collections that the command line adds."""


def memory(folder: Path, rounds: int) -> list[Row | Table]:
    """Measure quality on our own collections and on those of the command line."""
    return memory_quality.measure(folder, (*OWN, *FURTHER))


def recall(folder: Path, rounds: int) -> list[Row | Table]:
    """Measure speed up to 100,000 fragments."""
    return memory_speed.measure(folder, memory_speed.SIZES)


def crowd(folder: Path, rounds: int) -> list[Row]:
    """Measure recalls while many Hands store and recall at once."""
    return memory_crowd.measure(folder)


def million(folder: Path, rounds: int) -> list[Row | Table]:
    """Measure speed at a million fragments; filling takes a quarter of an hour."""
    return memory_speed.measure(folder, (memory_speed.LARGE,))
