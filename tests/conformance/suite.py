"""The official conformance suite, where it is on the machine (docs/peers.md says how to get it)."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import pytest

VARIABLE: Final = "MANIPLE_CONFORMANCE"
LEAST: Final = 22
"""The version of Node.js that it wants."""

WITHIN: Final = 180.0
_ROW: Final = re.compile(r"^([✓✗]) ([a-z0-9/_-]+): \d+ passed, \d+ failed", re.MULTILINE)
_UNSCORED: Final = re.compile(r"^  [✓✗] ([a-z0-9/_-]+) \((?:extension|added-after-release|pending)\)", re.MULTILINE)


class Said(NamedTuple):
    """What it said: scenarios that passed and that failed, those that count; and all of its words."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]
    code: int
    words: str


def command() -> list[str]:
    """How it is started. Skips the test when it is not here."""
    told = os.environ.get(VARIABLE, "")
    if not told:
        pytest.skip("the conformance suite is not here: docs/peers.md says how to get it")
    beside = Path(told).parents[3] / "node" / "bin" / "node"
    node = str(beside) if beside.exists() else shutil.which("node") or ""
    version = subprocess.run([node, "--version"], capture_output=True, check=True).stdout.decode() if node else "v0"
    if int(version.removeprefix("v").partition(".")[0]) < LEAST:
        pytest.skip(f"the conformance suite wants Node.js {LEAST}: docs/peers.md says how to get it")
    return [node, told]


def run(*words: str, folder: Path) -> Said:
    """Run it to its end; its results lie in the folder."""
    done = subprocess.run(
        [*command(), *words, "--output-dir", str(folder)], capture_output=True, timeout=WITHIN, cwd=folder, check=False
    )
    told = (done.stdout + done.stderr).decode("utf-8", "replace")
    aside = set(_UNSCORED.findall(told))
    rows = [(mark, name) for mark, name in _ROW.findall(told) if name not in aside]
    return Said(
        tuple(name for mark, name in rows if mark == "✓"),
        tuple(name for mark, name in rows if mark == "✗"),
        done.returncode,
        told,
    )
