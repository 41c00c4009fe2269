"""On a full disk the Hand starts, reads go on, writes are refused, and all goes on when there is room again."""

from pathlib import Path

import pytest

from tests.small_disk import on_small_disk
from tests.spread import spread


@pytest.mark.parametrize("system", spread(["tmpfs", "ext4"], 1))
def test_a_start_on_a_full_disk_reads_and_goes_on_when_there_is_room(tmp_path: Path, system: str) -> None:
    on_small_disk(tmp_path, system, "tests.hands.plan.full_disk")
