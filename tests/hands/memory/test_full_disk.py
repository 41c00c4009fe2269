"""On a full disk writes are refused with what to do about it, reads go on, and nothing that was answered is lost."""

from pathlib import Path

import pytest

from tests.small_disk import on_small_disk
from tests.spread import spread


@pytest.mark.parametrize("system", spread(["tmpfs", "ext4"], 1))
def test_a_full_disk_refuses_writes_and_reads_go_on(tmp_path: Path, system: str) -> None:
    on_small_disk(tmp_path, system, "tests.hands.memory.full_disk")
