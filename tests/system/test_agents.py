"""Agents with a real kernel, the real Hand `model` and its driver `scripted`: what they do, and how they end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.cli.client import Client
from tests.living import Kernel, make_home
from tests.system import thinking
from tests.system.fates import entries
from tests.system.thinking import ask, furnish, notes, ran, script, turns


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        furnish(kernel)
        yield kernel
        kernel.down()


@pytest.fixture
def client(kernel: Kernel) -> Iterator[Client]:
    with kernel.client() as client:
        yield client


def test_a_hand_without_code_thinks_acts_and_answers(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    thinking.add(kernel, tmp_path, "tidy")
    lines = turns(
        {"text": "I look.", "when": "Look into each drawer", "calls": [ask("desk_look", name="left")]},
        {"calls": [ask("desk_note", name="left", text="empty")], "when": "in left lies nothing"},
        {"text": "All is written down.", "when": "count: 1"},
    )
    script(client, lines)
    told = ran(client, "tidy", task="tidy up")
    assert told["outcome"] == "done", told
    assert (told["value"]["answer"], told["value"]["steps"]) == ("All is written down.", 3)
    assert notes(client) == ["left: empty"]
    assert told["value"]["models"] == ["scripted/script"]


def test_tools_that_are_asked_for_at_once_run_at_once(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    thinking.add(kernel, tmp_path, "tidy")
    calls = [ask("desk_look", name=f"d{number}", seconds=0.5) for number in range(6)]
    script(client, turns({"calls": calls}, {"text": "done"}))
    assert ran(client, "tidy", task="tidy up")["value"]["answer"] == "done"
    told: Any = client.call("desk.notes").value
    assert told["most_open"] == 6


def test_the_log_tells_each_step(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    thinking.add(kernel, tmp_path, "tidy")
    script(client, turns({"calls": [ask("desk_look", name="left")]}, {"text": "done"}))
    run = thinking.begin(client, "tidy", task="tidy up")
    assert thinking.outcome(client, run)["outcome"] == "done"
    told = [entry.why for entry in entries(kernel.home, "note") if entry.run == run]
    assert told == ["asks: desk.look left", "ended: done"]
