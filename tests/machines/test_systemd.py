"""Where systemd is process 1, Maniple is a service of the machine as docs/home.md says."""

from pathlib import Path

import pytest

from tests.machines import trials


@pytest.mark.soak
def test_the_unit_that_the_docs_print_starts_stops_and_restarts_maniple(tmp_path: Path) -> None:
    ended = trials.ended("systemd", ["tests/machines/service.py"], tmp_path, within=3600)
    assert (ended.failed, ended.skipped, len(ended.passed)) == (frozenset(), {}, 6)
