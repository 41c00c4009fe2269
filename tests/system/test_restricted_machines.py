"""On machines that forbid more than this one Hands run with what there is, or it is said at once what is missing."""

import re
import sys
from pathlib import Path

import pytest

from tests.living import ROOT
from tests.ordinary_user import run_as_user, user_folder
from tests.small_disk import run_with_mounts

WITHIN = 120
"""Seconds that it may take."""

WITHOUT_HANDS = "tests/manifests/test_lives.py::test_a_death_with_the_template_does_not_count"


@pytest.mark.parametrize(
    ("place", "where"),
    [
        ("apparmor", "user namespaces"),
        pytest.param("container", "user namespaces", marks=pytest.mark.wide),
        pytest.param("no-mounts", "-mount-namespace", marks=pytest.mark.wide),
    ],
)
def test_an_ordinary_user_has_what_there_is_or_is_told_what_is_missing(place: str, where: str, tmp_path: Path) -> None:
    with user_folder() as folder:
        there = ["tests.stricter", place, sys.executable, "-m", "tests.system.stricter_home", where, str(folder)]
        run_as_user(there, folder, tmp_path, within=WITHIN)


@pytest.mark.wide
def test_a_test_that_needs_a_hand_says_why_there_is_none_and_is_skipped(tmp_path: Path) -> None:
    """As all of the folders where nearly all do; what needs none is tried."""
    words = [sys.executable, "-m", "pytest", "-n0", "-rs", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}"]
    tests = ["tests/cli/test_calls.py", WITHOUT_HANDS]
    there = [sys.executable, "-m", "tests.stricter", "container", *words, *tests]
    told = run_with_mounts(there, "lays on no filter", within=WITHIN, cwd=ROOT)
    assert "no Hand can run here: this machine lacks " in told
    assert re.search(r"\b1 passed, \d+ skipped", told), told
