"""Tests of this tree inside a guest, and how each of them ended there (acts)."""

import os
import shlex
import shutil
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

import pytest

from tests.machines import guest
from tests.machines.kinds import KINDS
from tests.machines.stock import TOOLS, marker

VARIABLE: Final = "MANIPLE_MACHINES"
"""Names the folder in which stocks of guests lie."""

_PYTEST: Final = "python3 -m pytest -n0 -v --color=no --tb=short -p no:cacheprovider --timeout=1200"


class Ended(NamedTuple):
    """Tests by `module::name`, and of those that were skipped why."""

    passed: frozenset[str]
    failed: frozenset[str]
    skipped: dict[str, str]


def run(kind: str, script: str, folder: Path, *, within: float, groups: int = 2) -> guest.Done:
    """A script in a guest of this kind; it must end well. Skips where there is none, and says what to do."""
    done = guest.run(KINDS[kind], _stock(kind), script, folder=folder, within=within, groups=groups)
    assert done.end == 0, done.console[-8000:]
    return done


def ended(kind: str, words: list[str], folder: Path, *, within: float, groups: int = 1, first: str = "") -> Ended:
    """pytest with these arguments in a guest of this kind, as root; one that fails does not end the others.

    first: lines of a shell's that prepare the guest.
    """
    script = f"{first}{_PYTEST} --junitxml=/trial/told/results.xml {shlex.join(words)} || true"
    done = run(kind, script, folder, within=within, groups=groups)
    passed, failed, skipped = set[str](), set[str](), dict[str, str]()
    for case in ET.parse(done.told / "results.xml").iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        if (skip := case.find("skipped")) is not None:
            skipped[name] = skip.get("message", "")
        elif case.find("failure") is not None or case.find("error") is not None:
            failed.add(name)
        else:
            passed.add(name)
    assert passed, done.console[-8000:]
    print(done.console)  # what a test that fails afterwards shows
    return Ended(frozenset(passed), frozenset(failed), skipped)


def _stock(kind: str) -> Path:
    missing = [f"{tool} (Debian: {package})" for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if shutil.which(KINDS[kind].emulator) is None:
        missing.append(f"{KINDS[kind].emulator} (Debian: {KINDS[kind].package})")
    if missing:
        pytest.skip(f"a guest needs {', '.join(missing)}")
    folder = os.environ.get(VARIABLE, "")
    stock = Path(folder, kind)
    if not folder or not stock.exists():
        pytest.skip(f"there is no {kind} guest: python -m tests.machines {kind} FOLDER, and {VARIABLE}=FOLDER")
    if not (stock / "marker").exists() or (stock / "marker").read_text() != marker():
        pytest.skip(f"the {kind} guest is not made of what guests are made of now: remove {stock}, and build it again")
    return stock
