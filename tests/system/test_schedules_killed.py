"""Kill scheduling or the kernel at any moment: no firing begins two runs, and none is lost."""

import os
import random
import shutil
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from kernel.cli.client import Client
from tests.living import Kernel, install, make_home
from tests.spread import spread
from tests.system.beats import SCHEDULING, beat, begun, ended, told
from tests.system.fates import entry, until, verified

EVERY = 'every = "1s"\nmissed = "all"\noverlap = "queue"'


def kill_scheduling(client: Client) -> None:
    """End its process from outside."""
    for run in told(client, "kernel.ps")["runs"]:
        if run["hand"] == "scheduling" and run["pid"]:
            os.kill(run["pid"], signal.SIGKILL)


def wait_for_a_moment(home: Path, chance: random.Random, turn: int) -> None:
    """Any moment, and each second time the one at which a run has just begun, of which scheduling may not know yet."""
    if turn % 2:
        count = len(begun(home, "tick"))
        until(lambda: len(begun(home, "tick")) > count, "the next run", 60)
    else:
        time.sleep(chance.uniform(0.4, 1.8))


def check_keys(home: Path) -> None:
    keys = [int(key.removeprefix("at ")) for key, _ in begun(home, "tick")]
    assert keys == sorted(set(keys)), "a firing began two runs, or out of order"
    assert all(later - sooner == 1_000 for sooner, later in pairwise(keys)), "one was lost"


@pytest.mark.wide
@pytest.mark.parametrize("seed", spread([1, 2], 1))
def test_scheduling_is_killed_at_moments_chosen_by_chance(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        install(kernel, SCHEDULING)
        install(kernel, beat("tick", EVERY))
        for turn in range(3):
            wait_for_a_moment(kernel.home, chance, turn)
            kill_scheduling(client)
        count = len(begun(kernel.home, "tick"))
        until(lambda: len(begun(kernel.home, "tick")) >= max(6, count + 2), "it goes on", 60)
        check_keys(kernel.home)
        client.call("kernel.pause", "tick")
        kernel.down()
    verified(kernel.home)


@pytest.mark.parametrize("seed", spread([1, 2], 1))
def test_the_kernel_is_killed_at_moments_chosen_by_chance(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, SCHEDULING)
        install(kernel, beat("tick", EVERY))
        for turn in range(3):
            wait_for_a_moment(kernel.home, chance, turn)
            kernel.kill()
            kernel.up()
        count = len(begun(kernel.home, "tick"))
        until(lambda: len(begun(kernel.home, "tick")) >= max(6, count + 2), "it goes on", 60)
        check_keys(kernel.home)
        kernel.down()
    verified(kernel.home)


@pytest.mark.wide
def test_a_run_that_a_kill_cut_in_two_tells_its_end_to_scheduling(tmp_path: Path) -> None:
    """Else the next one begins only when scheduling looks by itself, a minute later."""
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, SCHEDULING)
        install(kernel, beat("tick", EVERY + "\ninputs = { lasts = 3 }"))
        until(lambda: begun(kernel.home, "tick"), "a run")
        kernel.kill()
        kernel.up()
        until(lambda: len(begun(kernel.home, "tick")) > 1, "the next run", 20)
        with kernel.client() as client:
            assert until(lambda: ended(client, "tick"), "how the first one ended")[0]["outcome"] == "done"
        check_keys(kernel.home)
        kernel.down()
    verified(kernel.home)


@pytest.mark.wide
def test_a_scheduled_run_that_began_anew_under_the_next_kernel_goes_on_under_the_one_after_that(tmp_path: Path) -> None:
    """Whoever asked for it, a process of scheduling, is no more: it belongs to nobody who could have ended."""
    first = beat("tick", 'every = "1s"\noverlap = "skip"\ninputs = { lasts = 2 }')
    toml = first.toml.replace('kind = "task"', 'kind = "task"\non_upgrade = "restart"')
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, SCHEDULING)
        install(kernel, first._replace(toml=toml))
        (_, run), *_ = until(lambda: begun(kernel.home, "tick"), "a run")
        kernel.kill()
        kernel.up()
        install(kernel, first._replace(toml=toml.replace("1.0.0", "1.1.0")))
        again = entry(kernel.home, "run.start", instead=run).run
        kernel.kill()
        kernel.up()
        assert entry(kernel.home, "run.end", run=again).verdict == "ended"
        kernel.down()


def test_what_was_missed_while_nobody_was_there_is_one_run(tmp_path: Path) -> None:
    """To this scheduling 2 s are late, and not 10."""
    hurried = shutil.copytree(SCHEDULING, tmp_path / "scheduling", ignore=shutil.ignore_patterns("__pycache__"))
    turning = hurried / "scheduling_turn.py"
    assert "LATE_MS: Final = 10_000\n" in turning.read_text()
    turning.write_text(turning.read_text().replace("LATE_MS: Final = 10_000\n", "LATE_MS: Final = 2_000\n"))
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, hurried)
        install(kernel, beat("strict", 'every = "3s"\nmissed = "skip"'))
        with kernel.client() as client:
            until(lambda: ended(client, "strict"), "a run")
        kernel.down()
        time.sleep(6)  # two moments come in it, of which one at least is late by then
        kernel.up()
        with kernel.client() as client:
            missed = until(lambda: ended(client, "strict", "missed"), "what was missed is told")
            assert 1 <= missed[0]["count"] <= 5
            assert "nobody was there" in missed[0]["why"]
            until(lambda: len(ended(client, "strict")) > 1, "it goes on")
        kernel.down()


def test_when_a_schedule_began_is_told_by_the_log_alone_when_its_hand_was_upgraded(tmp_path: Path) -> None:
    """What it was upgraded from is gone, and so is the snapshot, as for another version of Maniple."""
    with Kernel(make_home(tmp_path / "home")) as kernel:

        def since() -> object:
            with kernel.client() as client:
                return told(client, "kernel.show", "tick")["hand"]["since"]

        install(kernel, beat("tick", 'every = "6h"'))
        began = since()
        for version in ("1.1.0", "1.2.0"):
            install(kernel, beat("tick", 'every = "6h"', version=version))
        until(lambda: len(os.listdir(kernel.home / "hands")) == 1, "what was replaced is gone")
        assert since() == began
        kernel.down()
        (kernel.home / "log" / "snapshot").unlink()
        kernel.up()
        assert since() == began
        install(kernel, beat("tick", 'every = "5h"', version="1.3.0"))
        assert since() != began
