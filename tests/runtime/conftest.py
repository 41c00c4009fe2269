"""A fresh peer for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.peer import Peer


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    made = Peer(tmp_path)
    yield made
    made.close()
