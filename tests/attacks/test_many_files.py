"""A run with very many files delays nobody's limit: it is looked at beside others, and the others are ended on time."""

import os
import time
from pathlib import Path
from typing import Final

import pytest

from kernel import folders
from kernel.errors import TooSlow
from kernel.process import measuring
from tests.attacks.arena import open_arena
from tests.attacks.attack import Attack
from tests.attacks.disk_of_many import ATTACK as DISK_OF_MANY
from tests.attacks.puppet import puppet
from tests.living import install
from tests.system import fates

MANY: Final = 20_000
"""Files of the one; to look through them takes several times what is given to a run beside others."""

_HOARD: Final = Attack(
    code=f"""
import os
import time

def attack(hand, given):
    for number in range({MANY}):
        os.close(os.open(str(number), os.O_CREAT))
    os.mkdir("done")
    while True:  # so it is looked at each second
        time.sleep(0.01)
""",
    stopped_by=("watch",),
    refused="ended",
    got=lambda found, given: False,
)

_LIMITS: Final = {
    "memory": "1GiB", "cpu": "60s", "wall": "2m", "disk": "1GiB",  # the system counts inodes as memory
}  # fmt: skip


def _check_many(folder: Path) -> None:
    """They take longer than a look beside others may: else what follows shows nothing."""
    descriptor = os.open(folder, os.O_PATH)
    try:
        with pytest.raises(TooSlow):
            folders.measure(descriptor, 1 << 40, time.monotonic() + measuring.MOMENT)
    finally:
        os.close(descriptor)


@pytest.mark.wide
@pytest.mark.skipif(os.geteuid() != 0, reason="as root every layer is there")
@pytest.mark.timeout(180)
def test_a_run_of_very_many_files_delays_no_other_runs_limit(tmp_path: Path) -> None:
    with open_arena(tmp_path / "arena", {}) as arena:
        install(arena.kernel, puppet("hoarder", (), _LIMITS))
        with arena.kernel.client() as client:
            begun = client.call("kernel.start", "hoarder", {"inputs": {"code": _HOARD.code, "given": {}}}).value
            assert isinstance(begun, dict)
            done = arena.kernel.home / "scratch" / str(begun["run"]) / "done"
            fates.until(done.exists, "the files are there", seconds=90)
            _check_many(done.parent)
            for _ in range(3):
                met = arena.run_attack(DISK_OF_MANY)
                assert met.get("refused") == DISK_OF_MANY.refused, met
            arena.check_unharmed()
            assert str(begun["run"]) in str(client.call("kernel.ps").value)
            client.call("kernel.stop", str(begun["run"]))
        fates.until(lambda: not done.parent.exists(), "what it had is removed", seconds=90)
