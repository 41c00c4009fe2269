"""What tests of a memory file share: a clock that they move, and a file that is read by it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.store import Store
from tests.memory.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    opened = Store(tmp_path / "one.db", now=clock)
    yield opened
    opened.close()
