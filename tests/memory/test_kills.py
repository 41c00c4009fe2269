"""A writing process killed at any instant: every acknowledged write is there, and the indexes agree with the rows."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memory.checking import verify
from memory.errors import Absent
from memory.fragments import get
from memory.recall import Question, recall
from memory.store import Store
from tests.memory.clock import Clock

ROOT = Path(__file__).parents[2]


def killed(path: Path, seed: int, after: float) -> list[list[str]]:
    """Let a process write, kill it some seconds after it began, and answer its acknowledgements that arrived whole."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.memory.writing", str(path), str(seed)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(after)
        process.kill()
        return [line.split(" ", 3) for line in process.stdout.read().split("\n")[:-1]]


def acknowledged(lines: list[list[str]]) -> dict[tuple[str, int], str | None]:
    """What must be there, by space and number; None for what is or may be gone, or changed."""
    found: dict[tuple[str, int], str | None] = {}
    for what, space, number, *text in lines:
        found[space.strip("-"), int(number)] = text[0] if what in "+=" else None
    return found


def run(folder: Path, seeds: range) -> None:
    path = folder / "one.db"
    for seed in seeds:
        lines = killed(path, seed, random.Random(seed).uniform(0, 0.4))
        told = acknowledged(lines)
        store = Store(path, now=Clock())
        assert verify(store) == ()
        for (space, number), text in told.items():
            if text is None:
                continue
            there = get(store, space, number)
            assert there.text == text or there.text.startswith("changed")
            found = recall(store, space, Question(text=there.text, most=1)).found
            assert [one.fragment.number for one in found] == [number]
        for space, number in [(space.strip("-"), int(number)) for what, space, number, *_ in lines if what == "-"][
            -50:
        ]:
            with pytest.raises(Absent):
                get(store, space, number)
        store.close()


def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    run(tmp_path, range(6))


@pytest.mark.soak
def test_what_was_acknowledged_outlives_a_thousand_kills(tmp_path: Path) -> None:
    """Forty at one file: each check reads all of it, and it grows."""
    for first in range(0, 1_000, 40):
        folder = tmp_path / f"{first}"
        folder.mkdir()
        run(folder, range(first, first + 40))
