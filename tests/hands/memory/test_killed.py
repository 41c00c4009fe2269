"""Killed at any instant, a memory has every write that was answered, whole indexes, and numbers without holes."""

import subprocess
import sys
from pathlib import Path

import pytest


def kills(folder: Path, seed: int, times: int) -> str:
    """What the process that kills and looks said; it fails with its words."""
    words = [sys.executable, "-m", "tests.hands.memory.killed", str(folder), str(seed), str(times)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=3_000, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.wide
def test_killed_fifty_times_it_has_every_write_that_was_answered(tmp_path: Path) -> None:
    assert kills(tmp_path, 1, 50).startswith("50 kills, ")


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
def test_killed_thousands_of_times(tmp_path: Path, seed: int) -> None:
    for part in range(10):
        folder = tmp_path / f"{part}"
        folder.mkdir()
        assert kills(folder, 1_000 * seed + part, 50).startswith("50 kills, ")
