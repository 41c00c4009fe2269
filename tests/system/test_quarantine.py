"""Whoever is quarantined does nothing until its operator starts it: not for who needs it, nor for what was on its way."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.cli.exits import NotDone
from tests.living import Kernel, install, make_home
from tests.spread import spread
from tests.system import chaos, fates
from tests.system.costly import COSTLY, cost, counted, spend
from tests.system.fates import call, entries, entry, state_of, until
from tests.system.test_resuming import DREAMER, begin


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home"), "tests.system.slow_disk") as kernel:
        install(kernel, COSTLY._replace(toml=COSTLY.toml.replace('"costly-two.spend" = ["*"]', "")))
        assert spend(kernel, 1, 10) == "done"
        yield kernel


def _started_since(kernel: Kernel) -> list[object]:
    """Whose processes were made since the quarantine."""
    since = entry(kernel.home, "hand.state", verdict="quarantined").seq
    return [one.detail["name"] for one in entries(kernel.home, "run.start") if one.seq > since]


@pytest.mark.parametrize("is_killed", spread([False, True], 1))
def test_a_service_is_not_started_for_who_needs_it(kernel: Kernel, *, is_killed: bool) -> None:
    needy = DREAMER.toml.replace('kind = "task"', 'kind = "task"\nneeds = ["costly"]')
    install(kernel, DREAMER._replace(toml=needy))
    assert spend(kernel, 20, 10) == "done"
    until(lambda: not fates.runs(kernel), "it is stopped")
    if is_killed:
        kernel.kill()
        kernel.up()
    run = begin(kernel, "dreamer", seconds=0.1)
    assert chaos.outcome_of(kernel, run)["outcome"] == "done"
    assert _started_since(kernel) == ["dreamer"]
    call(kernel, "kernel.start", "costly", seconds=30)
    assert spend(kernel, 1, 10) == "done"


def test_a_call_that_was_let_pass_before_and_waited_for_the_disk_does_not_start_it(kernel: Kernel) -> None:
    """While its entry is on its way to disk, another call is found to have cost too much."""
    said = []

    def one_more() -> None:
        with kernel.client() as client:
            try:
                client.call("costly.spend", "", {"tokens": 3}, most=cost(10))
            except NotDone as error:
                said.append(error.reason)

    other = threading.Thread(target=one_more)
    with kernel.client() as client:
        slow = kernel.home / "run" / "slow"
        call_one = threading.Thread(
            target=client.call, args=("costly.spend", "", {"tokens": 20, "seconds": 1.0}), kwargs={"most": cost(10)}
        )
        call_one.start()
        until(lambda: counted(kernel.home) == 21, "it has cost too much, and not said so")
        slow.touch()
        threading.Event().wait(0.8)
        other.start()
        entry(kernel.home, "hand.state", verdict="quarantined")
        call_one.join()
        other.join()
        slow.unlink()
    assert said == ["quarantined"]
    assert state_of(kernel, "costly") == "quarantined"
    assert _started_since(kernel) == []
    assert counted(kernel.home) == 21
