"""Where control groups are of version 2, runs are bounded by them as by those of version 1."""

from pathlib import Path

import pytest

from tests.machines import trials


@pytest.mark.soak
def test_groups_of_version_2_are_made_and_hold_runs(tmp_path: Path) -> None:
    ended = trials.ended(
        "x86_64",
        ["tests/machines/second_groups.py", "tests/kernel/test_cgroup.py", "tests/attacks/test_layers_reported.py"],
        tmp_path,
        within=1800,
        groups=2,
    )
    assert (ended.failed, ended.skipped, len(ended.passed)) == (frozenset(), {}, 46)


@pytest.mark.soak
def test_where_they_may_only_be_read_runs_lack_them_and_say_so(tmp_path: Path) -> None:
    """As in a container."""
    words = "pytest -n0 -q -p no:cacheprovider --timeout=1200 tests/attacks/test_layers_reported.py"
    script = f"mount -o remount,ro /sys/fs/cgroup\n! maniple doctor | grep 'ok *cgroups'\npython3 -m {words}"
    assert " passed" in trials.run("x86_64", script, tmp_path, within=1800).console


@pytest.mark.soak
def test_attacks_on_memory_are_bounded_by_them_and_succeed_without(tmp_path: Path) -> None:
    words = ["tests/attacks/test_attacks.py", "-k", "memory_of_many"]
    ended = trials.ended("x86_64", words, tmp_path, within=1800, groups=2)
    assert (ended.failed, ended.skipped, len(ended.passed)) == (frozenset(), {}, 2)
