"""Twenty agents at once: one process asks the model for all of them, each comes to its own end, and then it is gone."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.cli.client import Client
from tests.living import ROOT, Kernel, Source, install, make_home, write_hand
from tests.system import fates, thinking
from tests.system.fates import entries, until
from tests.system.thinking import ask, script

MANY: Final = 20
IDLE: Final = 'idle = "60s"'


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel with a desk, an agent, and the Hand `model`, which waits for two seconds only until it is idle."""
    toml = (ROOT / "hands" / "model" / "HAND.toml").read_text()
    assert IDLE in toml, "a minute, as the contract has it"
    model = write_hand(tmp_path / "model", Source(toml.replace(IDLE, 'idle = "2s"'), ""))
    for file in (ROOT / "hands" / "model").glob("*.py"):
        (model / file.name).write_bytes(file.read_bytes())
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, model)
        install(kernel, thinking.DESK)
        thinking.add(kernel, tmp_path, "tidy")
        yield kernel
        kernel.down()


@pytest.mark.parametrize("kills", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["in peace", "killed"])
def test_twenty_agents_share_one_process_which_is_gone_when_they_are_done(kernel: Kernel, kills: bool) -> None:
    drawers = [f"d{number:02}" for number in range(MANY)]
    with kernel.client() as client:
        script(client, [line for drawer in drawers for line in _course(drawer)])
        runs = {drawer: fates.begin(client, "tidy", task=f"Look into {drawer}.") for drawer in drawers}
        if kills:
            until(lambda: len(_working(client, "tidy")) == MANY, "all work")
            for pid in (*_working(client, "tidy")[::3], *_working(client, "model")):
                os.kill(pid, signal.SIGKILL)
        for drawer, run in runs.items():
            told = fates.outcome(client, run)
            assert (told["outcome"], told["value"]["answer"]) == ("done", f"{drawer} is empty."), told
            assert (told["value"]["steps"], told["value"]["tokens"]) == (2, 20)
        assert sorted(thinking.notes(client)) == [f"{drawer}: {drawer}" for drawer in drawers]
        assert _started(kernel) == (2 if kills else 1)
        until(lambda: not _working(client, "model"), "nobody asks any more")


def _course(drawer: str) -> list[str]:
    """What an agent with this drawer is answered, each turn where its own words stand; any of them at any time."""
    used = {"times": 0, "usage": {"input": 5, "output": 5}}
    turns: list[dict[str, object]] = [
        {"at": 0, "when": f"Look into {drawer}.", "calls": [
            ask("desk_look", name=drawer, seconds=0.3), ask("desk_note", name=drawer, text=drawer),
        ]},
        {"at": 1, "when": f"in {drawer} lies nothing", "text": f"{drawer} is empty."},
    ]  # fmt: skip
    return [json.dumps({**used, **turn}) for turn in turns]


def _started(kernel: Kernel) -> int:
    """How many processes of `model` there were."""
    return sum(one.detail.get("name") == "model" for one in entries(kernel.home, "run.start"))


def _working(client: Client, hand: str) -> list[int]:
    told: Any = client.call("kernel.ps").value
    return [int(row["pid"]) for row in told["runs"] if row["hand"] == hand]
