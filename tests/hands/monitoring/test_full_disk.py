"""On a full disk the Hand starts and says so; with room it goes on, with all that was kept."""

from pathlib import Path

import pytest

from tests.small_disk import on_small_disk
from tests.spread import spread


@pytest.mark.wide
@pytest.mark.parametrize("system", spread(["tmpfs", "ext4"], 1))
def test_a_start_on_a_full_disk_waits_for_room(tmp_path: Path, system: str) -> None:
    on_small_disk(tmp_path, system, "tests.hands.monitoring.full_disk")
