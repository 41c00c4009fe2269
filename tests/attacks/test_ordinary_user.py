"""The same attacks on the kernel of an ordinary user, whose runs have his own id: refused as exactly, and by other layers."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from tests.attacks.all import ATTACKS
from tests.living import ROOT
from tests.small_disk import NOT_MOUNTED
from tests.system.test_ordinary_user import USER, as_user

Outcomes: TypeAlias = dict[str, dict[str, dict[str, object]]]

WITHIN: Final = 240


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder of the ordinary user's; pytest's own lie in one that only root can enter."""
    place = Path(tempfile.mkdtemp(prefix="maniple-user-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            os.chown(place, USER, USER)
        yield place
    finally:
        shutil.rmtree(place)


def _done(words: list[str], place: Path, stage: Path) -> str:
    """What a module says on stdout that is run as the user; it has to end well."""
    done = subprocess.run(
        as_user([sys.executable, "-m", *words], stage),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(place), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    if done.returncode == NOT_MOUNTED:
        pytest.skip(f"this machine shows user {USER} no interpreter: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def outcomes(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    met: Outcomes = json.loads(
        _done(["tests.attacks.ordinary_user", str(place)], place, tmp_path_factory.mktemp("stage"))
    )
    return met


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_to_runs_of_an_ordinary_user(name: str, outcomes: Outcomes) -> None:
    attack, met = ATTACKS[name], outcomes["walled"][name]
    assert not met["succeeded"]
    assert met["refused"] == (attack.refused if attack.as_user is None else attack.as_user), met


@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.stopped_for_user])
def test_it_succeeds_without_the_layers_that_stop_it_for_him(name: str, outcomes: Outcomes) -> None:
    if why := ATTACKS[name].needs():
        pytest.skip(why)
    assert outcomes["weakened"][name]["succeeded"], outcomes["weakened"][name]


@pytest.mark.wide  # what he is refused the attacks show
@pytest.mark.skipif(os.geteuid() != 0, reason="they are run as they are")
def test_other_tests_of_this_folder_hold_for_him(place: Path, tmp_path: Path) -> None:
    words = ["pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={place / 'pytest'}"]
    _done([*words, "tests/attacks/test_state.py", "tests/attacks/test_outside_read.py"], place, tmp_path)
