"""Where core files are given to a program of the machine's, which runs as root, no run can have it started."""

from pathlib import Path

import pytest

from tests.machines import trials


@pytest.mark.soak
def test_a_crash_in_a_run_starts_no_program_that_collects_core_files(tmp_path: Path) -> None:
    ended = trials.ended("x86_64", ["tests/machines/crashes.py"], tmp_path, within=1800)
    assert (ended.failed, ended.skipped, len(ended.passed)) == (frozenset(), {}, 1)
