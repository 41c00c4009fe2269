"""A home's disk runs full: effects stop and say why, reads go on, then only the operator's; with room all goes on."""

from pathlib import Path

import pytest

from tests.small_disk import SYSTEMS, on_small_disk
from tests.spread import spread


@pytest.mark.parametrize("system", spread(SYSTEMS, 1))
def test_a_full_disk_stops_effects_then_reads_and_nothing_is_lost(tmp_path: Path, system: str) -> None:
    on_small_disk(tmp_path, system, "tests.system.full_home")


@pytest.mark.wide
def test_steps_of_a_pipeline_wait_for_room_on_a_full_disk_and_begin_once(tmp_path: Path) -> None:
    on_small_disk(tmp_path, "tmpfs", "tests.system.full_pipeline")
