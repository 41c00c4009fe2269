"""On machines that forbid more than this one Hands run with what there is, or it is said at once what is missing."""

import sys
from pathlib import Path

import pytest

from tests.ordinary_user import place_of_users, said

WITHIN = 120
"""Seconds that it may take."""


@pytest.mark.parametrize(
    ("place", "where"),
    [
        ("apparmor", "user namespaces"),
        pytest.param("container", "user namespaces", marks=pytest.mark.wide),
        ("no-mounts", "-mount-namespace"),
    ],
)
def test_an_ordinary_user_has_what_there_is_or_is_told_what_is_missing(place: str, where: str, tmp_path: Path) -> None:
    with place_of_users() as folder:
        there = ["tests.stricter", place, sys.executable, "-m", "tests.system.stricter_home", where, str(folder)]
        said(there, folder, tmp_path, within=WITHIN)
