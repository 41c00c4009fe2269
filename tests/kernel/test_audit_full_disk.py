"""A real small disk runs full: effects stop, reads go on within the reserve; space returns, and nothing is lost."""

from pathlib import Path

import pytest

from tests.small_disk import SYSTEMS, on_small_disk
from tests.spread import spread

SCENARIOS = ("whole_way", "at_speed", "restarts", "starts_full")
WAYS = [
    (system, scenario) for shift, system in enumerate(SYSTEMS) for scenario in SCENARIOS[shift:] + SCENARIOS[:shift]
]


@pytest.mark.parametrize(("system", "scenario"), spread(WAYS, 2))
def test_a_full_disk_stops_effects_and_loses_nothing(tmp_path: Path, system: str, scenario: str) -> None:
    on_small_disk(tmp_path, system, "tests.kernel.full_disk", scenario)
