"""On an older Linux the layers that it has are there, those that it lacks are told, and nothing else is missed."""

from pathlib import Path

import pytest

from tests.machines import trials


@pytest.mark.soak
def test_an_older_linux_is_honestly_reported_and_the_rest_works(tmp_path: Path) -> None:
    ended = trials.ended("x86_64", ["tests/machines/old_linux.py"], tmp_path, within=1800, groups=2)
    assert (ended.failed, ended.skipped, len(ended.passed)) == (frozenset(), {}, 8)
