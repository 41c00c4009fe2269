"""Files that have no name any more count against a run's disk, whether they are open or only mapped; where root looks."""

from pathlib import Path

import pytest

from tests.attacks.arena import open_arena
from tests.attacks.attack import Attack
from tests.rights import IS_WHOLE_ROOT

_FILL = Attack(
    code="""
import mmap
import os
import time

def attack(hand, given):
    kept = []
    for number in range(40):
        file = open("x", "wb+", buffering=0)
        file.write(b"x" * 3_000_000)
        os.unlink("x")
        kept.append(file)
        if number % 2:
            kept[-1] = mmap.mmap(file.fileno(), 3_000_000)
            file.close()
    time.sleep(3)
    return 3_000_000 * len(kept)
""",
    stopped_by=("watch",),
    refused="ended",
    got=lambda found, given: found == 120_000_000,
)


@pytest.mark.skipif(
    not IS_WHOLE_ROOT, reason="only the machine's root may look at what the processes of a run have open"
)
def test_files_without_names_count(tmp_path: Path) -> None:
    with open_arena(tmp_path / "arena", {}) as arena:
        met = arena.run_attack(_FILL)
        arena.check_unharmed()
        arena.check_clean()
    assert met.get("refused") == _FILL.refused, met
