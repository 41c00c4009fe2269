"""The same attacks on the kernel of an ordinary user, whose runs have his own id: refused as exactly, and by other layers."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from tests.attacks.all import ATTACKS
from tests.ordinary_user import run_as_user, user_folder

pytestmark = pytest.mark.wide
Outcomes: TypeAlias = dict[str, dict[str, dict[str, object]]]

WITHIN: Final = 240


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with user_folder() as place:
        yield place


@pytest.fixture(scope="module")
def outcomes(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    stage = tmp_path_factory.mktemp("stage")
    met: Outcomes = json.loads(run_as_user(["tests.attacks.ordinary_user", str(place)], place, stage, within=WITHIN))
    return met


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_to_runs_of_an_ordinary_user(name: str, outcomes: Outcomes) -> None:
    attack, met = ATTACKS[name], outcomes["walled"][name]
    assert not met["succeeded"]
    assert met["refused"] == attack.meets(as_user=True), met


@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.stopped_for_user])
def test_it_succeeds_without_the_layers_that_stop_it_for_him(name: str, outcomes: Outcomes) -> None:
    if why := ATTACKS[name].needs():
        pytest.skip(why)
    assert outcomes["weakened"][name]["succeeded"], outcomes["weakened"][name]


@pytest.mark.skipif(os.geteuid() != 0, reason="they are run as they are")
def test_other_tests_of_this_folder_hold_for_him(place: Path, tmp_path: Path) -> None:
    words = ["pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={place / 'pytest'}"]
    tests = ["tests/attacks/test_state.py", "tests/attacks/test_outside_read.py"]
    run_as_user([*words, *tests], place, tmp_path, within=WITHIN)
