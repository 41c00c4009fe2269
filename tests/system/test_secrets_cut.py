"""Power is cut at each step of a change of settings, a secret one among them: all of it is made, or nothing."""

import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kernel.cli import orphans
from kernel.cli.exits import Ended
from tests.living import Kernel, install, make_home
from tests.spread import spread
from tests.system.fates import PATIENCE, call, table, verified
from tests.system.test_changes_live import TUNED

ACTS = ("a file is written", "a file is brought to disk", "a file is named", "a message is sent")
KINDS = [f"{when} {act}" for act in ACTS for when in ("before", "after")]


def cut_at(kernel: Kernel, kind: str, step: int, number: int) -> tuple[bool, bool]:
    """Change settings, and cut the power at a step: whether it came to that step, and whether the change was answered."""
    cut = kernel.home / "cut"
    cut.write_text(f"{step} {kind}")
    assert kernel.process is not None
    is_told = False
    with suppress(Ended):
        call(kernel, "kernel.set", "tuned", {"values": {"pitch": number, "word": f"secret {number}"}})
        is_told = True
    with suppress(TimeoutError, subprocess.TimeoutExpired):
        kernel.process.wait(0.5 if is_told else PATIENCE)
    is_cut = kernel.process.poll() is not None
    assert not is_cut or kernel.process.poll() == -signal.SIGKILL
    if not is_cut:
        kernel.kill()
    cut.unlink(missing_ok=True)
    return is_cut, is_told


def found(kernel: Kernel, hand: str) -> int:
    """Which change is true, after another start; all of it is, and no secret of another one is left."""
    began = time.time()
    kernel.up()
    with kernel.client() as client:
        orphans.remove_orphans(client, began)
    told = table(call(kernel, "tuned.do"))
    number = int(str(told["pitch"]))
    assert told["word"] == f"secret {number}"
    (file,) = (kernel.home / "keys").glob(f"{hand}.*")
    assert f"secret {number}" in file.read_text()
    return number


@pytest.mark.parametrize("kind", spread(KINDS, 3))
def test_a_change_of_settings_with_a_secret_is_made_whole_or_not_at_all(kind: str, tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.stepped") as kernel:
        (kernel.home / "cut").write_text("-1 never")
        hand = str(install(kernel, TUNED)["hand"])
        call(kernel, "kernel.set", "tuned", {"values": {"pitch": 0, "word": "secret 0"}})
        kernel.kill()
        assert found(kernel, hand) == 0
        step, last, is_cut = 0, 0, True
        while is_cut:
            is_cut, is_told = cut_at(kernel, kind, step, step + 1)
            now = found(kernel, hand)
            assert now in ((step + 1,) if is_told else (last, step + 1))
            step, last = step + 1, now
        assert step > 1
        kernel.down()
        assert verified(kernel.home).size
