"""A fresh peer for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.peer import HANDS, Peer


@pytest.fixture(scope="session")
def forking(own_mounts: None, own_group: None) -> Iterator[None]:
    """What forks Hands lives in the control group of tests, and ends before it."""
    yield
    HANDS.end()


@pytest.fixture
def peer(tmp_path: Path, forking: None) -> Iterator[Peer]:
    made = Peer(tmp_path)
    yield made
    made.close()
