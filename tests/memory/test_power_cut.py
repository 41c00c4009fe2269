"""Power is cut while a memory is embedded or indexed anew, consolidated, imported into, or forgets: it stays whole."""

import subprocess
import sys
from pathlib import Path

import pytest

WORKS = {"re_embed": 53, "consolidate": 23, "reindex": 53, "take_in": 41, "forget": 17}
"""Works of powerless.py, with the steps from one cut to the next in a quick run."""


def cut(folder: Path, work: str, every: int) -> int:
    """How many cuts there were; it fails with the words of who looked."""
    words = [sys.executable, "-m", "tests.memory.powerless", str(folder), work, str(every)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=3_000, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[0])


@pytest.mark.parametrize("work", WORKS)
def test_a_memory_whose_power_is_cut_is_whole_and_its_work_goes_on(work: str, tmp_path: Path) -> None:
    assert cut(tmp_path, work, WORKS[work]) > 10


@pytest.mark.soak
@pytest.mark.parametrize("work", WORKS)
def test_a_memory_whose_power_is_cut_at_every_step_is_whole(work: str, tmp_path: Path) -> None:
    assert cut(tmp_path, work, 1) > 100
