"""On an older Linux the layers that it has hold, and those that it lacks are told."""

from pathlib import Path

import pytest

from tests.machines import trials


@pytest.mark.soak
def test_an_older_linux_is_honestly_reported_and_the_rest_works(tmp_path: Path) -> None:
    ended = trials.ended("x86_64", ["tests/machines/old_linux.py"], tmp_path, within=1800, groups=2)
    assert (ended.failed, ended.skipped, len(ended.passed)) == (frozenset(), {}, 7)


@pytest.mark.soak
def test_attacks_that_meet_its_missing_layers_elsewhere_are_refused_by_others(tmp_path: Path) -> None:
    met = "hog or tcp or abstract or signal_ or truncate or set_uid or read_"
    words = ["tests/attacks/test_attacks.py", "-k", f"test_an_attack_is_refused and ({met})"]
    ended = trials.ended("x86_64", words, tmp_path, within=1800, groups=2)
    assert (ended.failed, ended.skipped) == (frozenset(), {})
