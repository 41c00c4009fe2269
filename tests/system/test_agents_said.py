"""Agents that publish their words: in pieces, no more of them than they may send, and marked where they come anew."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.cli.client import Client
from tests.living import ROOT, Kernel, install, make_home
from tests.system import fates, thinking
from tests.system.fates import ran
from tests.system.recordings import replay
from tests.system.thinking import ask, script, turns

pytestmark = pytest.mark.wide


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel with a desk and the Hand `model`."""
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, ROOT / "hands" / "model")
        install(kernel, thinking.DESK)
        yield kernel
        kernel.down()


def test_what_it_says_is_told_in_pieces_where_it_publishes_that(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    heard: list[Any] = []
    text = "First I look into each of the drawers,\nand then I write down what lies there. " * 4
    for name, more in (("open", '"model.stream" = ["*"]'), ("close", "")):
        tail = '[events]\npublishes = ["said"]\n[limits]\ncalls_per_minute = 100000'  # a piece each millisecond
        thinking.add(kernel, tmp_path, name, more=more, tail=tail)
        client.subscribe(f"{name}.said", heard.append)
    script(client, turns({"text": text, "calls": [ask("desk_look", name="left")]}, {"text": "Done."}))
    told = ran(client, "close", task="tidy up")["value"]
    assert (told["answer"], heard) == ("Done.", [])  # without model.stream it is asked for the whole
    run = fates.begin(client, "open", task="tidy up")
    assert fates.outcome(client, run)["value"]["answer"] == "Done."
    assert {one["run"] for one in heard} == {run}
    pieces = [one["text"] for one in heard if one["thought"] == 1]
    assert ("".join(pieces), len(pieces) > 3) == (text, True)
    assert [one["at"] for one in heard] == [*(len("".join(pieces[:number])) for number in range(len(pieces))), 0]
    assert heard[-1]["text"] == "Done."
    assert replay(kernel, run).code == 0


def test_words_in_place_of_an_answer_that_broke_off_say_so(kernel: Kernel, client: Client, tmp_path: Path) -> None:
    heard: list[Any] = []
    tail = '[events]\npublishes = ["said"]'
    thinking.add(kernel, tmp_path, "tidy", more='"model.stream" = ["*"]', tail=tail)
    client.subscribe("tidy.said", heard.append)
    cut = {"code": "cut", "text": "the connection was lost"}
    lines = [
        {"at": 0, "text": "I look.", "calls": [ask("desk_look", name="left")]},
        {"at": 1, "text": "It is half said,\nand no more.", "shown": 5, "error": cut},
        {"at": 1, "text": "It is all said."},
    ]
    script(client, map(json.dumps, lines))
    assert ran(client, "tidy", task="tidy up")["value"]["answer"] == "It is all said."
    assert [one["thought"] for one in heard] == [1, 2, 3]
    assert [one.get("again", False) for one in heard] == [False, False, True]


def test_a_model_that_is_quick_and_tools_by_the_dozen_are_no_flood(
    kernel: Kernel, client: Client, tmp_path: Path
) -> None:
    heard: list[Any] = []
    tail = '[events]\npublishes = ["said"]\n[limits]\ncalls_per_minute = 240'
    thinking.add(kernel, tmp_path, "tidy", more='"model.stream" = ["*"]', tail=tail)
    client.subscribe("tidy.said", heard.append)
    looks = [[ask("desk_look", name=f"d{turn}-{number}") for number in range(32)] for turn in range(7)]
    text = "a line\n" * 700
    script(client, turns({"text": text, "calls": looks[0]}, *({"calls": each} for each in looks[1:]), {"text": "done"}))
    told = ran(client, "tidy", task="tidy up")
    assert (told["outcome"], told["value"]["answer"], told["value"]["steps"]) == ("done", "done", 8), told
    assert "".join(one["text"] for one in heard if one["thought"] == 1) == text
