"""On a Linux that has kexec and modules, attacks by them are refused, and load both in earnest where no layer stops them."""

from pathlib import Path
from typing import Final

import pytest

from tests.attacks.all import ATTACKS
from tests.machines import trials

LOADING: Final = ("load_module", "load_system", "load_system_from_file")


@pytest.mark.soak
def test_attacks_by_kexec_and_modules_succeed_just_where_their_layers_are_taken_away(tmp_path: Path) -> None:
    words = ["tests/attacks/test_attacks.py", "-m", "not soak", "-k", " or ".join(LOADING)]
    ended = trials.ended("x86_64", words, tmp_path, within=1800)
    assert (ended.failed, ended.skipped) == (frozenset(), {})
    assert len(ended.passed) == sum(2 + len(ATTACKS[name].stopped_by) for name in LOADING)
