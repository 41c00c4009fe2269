"""The pytest fixture `replayed` (acts): recorded runs as regression tests, see replayed.py.

In conftest.py:     pytest_plugins = ["runtime.pytest_replayed"]
In a test:          def test_recorded(replayed): replayed("tests/runs/r-3a1c….jsonl", "hands/journey")
"""

from typing import Protocol

import pytest

from runtime.replayed import PATIENCE
from runtime.replayed import replayed as play
from wire.replaying import Verdict


class Play(Protocol):
    """The fixture's value: replayed(), with paths relative to the root of the tested project."""

    def __call__(
        self, recording: str, folder: str, *, secrets: dict[str, object] | None = None, patience: float = PATIENCE
    ) -> Verdict: ...


@pytest.fixture
def replayed(pytestconfig: pytest.Config) -> Play:
    """Replays a recording to a Hand's folder; the test fails where they differ."""
    root = pytestconfig.rootpath

    def played(
        recording: str, folder: str, *, secrets: dict[str, object] | None = None, patience: float = PATIENCE
    ) -> Verdict:
        return play(root / recording, root / folder, secrets=secrets, patience=patience)

    return played
