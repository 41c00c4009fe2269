"""What a process that is run with mounts of its own leaves behind ends with its test."""

import os
from pathlib import Path

import pytest

from tests.small_disk import run_with_mounts


def test_what_a_process_leaves_that_fails_is_ended(tmp_path: Path) -> None:
    """As a kernel, which outlives the command that started it."""
    told = tmp_path / "told"
    with pytest.raises(AssertionError):
        run_with_mounts(
            ["sh", "-c", f"setsid sleep 60 >/dev/null 2>&1 & echo $! >{told}; exit 1"], "needs nothing", within=60
        )
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)
