"""On a machine that keeps huge pages, attacks take them where no layer stops them, and where one does none is taken."""

from pathlib import Path
from typing import Final

import pytest

from tests.attacks.all import ATTACKS
from tests.attacks.huge import MANY
from tests.machines import trials

HOGGING: Final = ("hog_huge_files", "hog_huge_pages", "hog_huge_segments")
_KEEP: Final = f"""echo {2 * MANY} >/proc/sys/vm/nr_hugepages
mkdir /dev/hugepages
mount -t hugetlbfs -o mode=1777 none /dev/hugepages
"""


@pytest.mark.soak
def test_attacks_take_huge_pages_just_where_their_layers_are_taken_away(tmp_path: Path) -> None:
    words = ["tests/attacks/test_attacks.py", "-m", "not soak", "-k", " or ".join(HOGGING)]
    ended = trials.ended("x86_64", words, tmp_path, within=1800, first=_KEEP)
    assert (ended.failed, ended.skipped) == (frozenset(), {})
    alone = sum(len(ATTACKS[name].stopped_by) for name in HOGGING if len(ATTACKS[name].stopped_by) > 1)
    assert len(ended.passed) == 2 * len(HOGGING) + alone
