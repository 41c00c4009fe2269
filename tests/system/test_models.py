"""Models over the bus: offline at first, granted by route and by name, streamed, counted, cancelled, and shown to people."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from kernel.cli.exits import NotDone
from runtime.models.messages import parse_answer
from tests.cli.shell import Shell
from tests.living import Kernel, Source, files_containing, install, make_home
from tests.system.fates import entries
from wire.amounts import Cost

HANDS: Final = Path(__file__).resolve().parents[2] / "hands"
ASKED: dict[str, Any] = {"messages": [{"role": "user", "parts": [{"type": "text", "text": "Hello there."}]}]}
SCRIPT: Final = '{"text": "Hi, whoever you are.", "times": 0, "usage": {"input": 1000, "output": 20}}'
KEY: Final = "sk-ant-not-to-be-found-anywhere"
ASKER: Final = """
from runtime import Hand
from runtime.models.messages import TextPiece, unpack


class Asker(Hand):
    async def run(self, model, messages):
        shown = ""
        async with self.kernel.stream("model.stream", model, messages=messages) as stream:
            async for chunk in stream:
                shown += "".join(piece.text for piece in unpack(chunk) if isinstance(piece, TextPiece))
        return {"shown": shown, "answer": stream.reply.value}
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("models") / "home")) as kernel:
        install(kernel, HANDS / "model")
        toml = """
[hand]
name = "asker"
version = "1.0.0"
description = "Asks a model."
entry = "main:Asker"
kind = "task"
autonomy = "full"

[capabilities]
"model.stream" = ["scripted/*"]
"""
        install(kernel, Source(toml, ASKER))
        with kernel.client() as client:
            client.call("kernel.set", "model", {"values": {"script": SCRIPT, "anthropic_key": KEY}})
        yield kernel


def _run(kernel: Kernel, model: str) -> dict[str, Any]:
    with kernel.client() as client:
        inputs = {"model": model, **ASKED}
        found: Any = client.call("kernel.start", "asker", {"inputs": inputs, "wait": True}, seconds=60).value
    assert isinstance(found, dict)
    return found


def test_a_fresh_home_answers_offline_and_says_so(kernel: Kernel) -> None:
    with kernel.client() as client:
        reply = client.call("model.complete", "default", ASKED, seconds=60)
    answer = parse_answer(reply.value)
    assert answer.model == "offline/classical"
    assert "No language model" in answer.notes[0]
    assert tuple(reply.labels) == ("model",)


def test_a_hand_streams_from_the_model_it_was_granted_and_from_no_other(kernel: Kernel) -> None:
    found = _run(kernel, "scripted/script")
    assert found["outcome"] == "done", found
    assert found["value"]["shown"] == "Hi, whoever you are."
    assert parse_answer(found["value"]["answer"]).usage.total == 1020
    ends = [entry for entry in entries(kernel.home, "end") if entry.method == "model.stream"]
    assert ends[-1].cost is not None
    assert ends[-1].cost.tokens == 1020
    refused = _run(kernel, "default")
    assert refused["outcome"] != "done"
    assert '"model.stream" = ["default"]' in str(refused)


def test_a_call_that_could_cost_more_than_its_most_fails_before_it_is_made(kernel: Kernel) -> None:
    with kernel.client() as client, pytest.raises(NotDone, match="`most`"):
        client.call("model.complete", "scripted/script", ASKED, most=Cost(tokens=5, micro_dollars=0))


def test_people_see_models_try_them_and_see_what_they_cost(kernel: Kernel) -> None:
    assert "offline/classical" in _maniple(kernel, "models")
    assert "anthropic/claude" in _maniple(kernel, "models")
    assert "Hi, whoever you are." in _maniple(kernel, "models", "test", "scripted/script")
    rows = msgspec.json.decode(_maniple(kernel, "usage", "--by", "hand", "--json"))["usage"]
    by_hand = {row["hand"]: row for row in rows}
    assert by_hand["asker"]["tokens"] == 1020
    assert by_hand["operator"]["tokens"] >= 1020
    with kernel.client() as client, pytest.raises(NotDone):
        client.call("model.complete", "scripted/script", ASKED, most=Cost(tokens=5, micro_dollars=0))
    (row,) = msgspec.json.decode(_maniple(kernel, "usage", "--by", "hand", "--hand", "operator", "--json"))["usage"]
    was = by_hand["operator"]
    assert (row["calls"], row["failed"]) == (was["calls"] + 1, was["failed"] + 1)
    rows = msgspec.json.decode(_maniple(kernel, "usage", "--by", "model", "--json"))["usage"]
    assert {"scripted/script", "offline/classical"} <= {row["model"] for row in rows}, (
        "who answered, whatever the route"
    )
    assert "default" not in {row["model"] for row in rows}


def test_a_key_is_in_no_log_entry_reply_or_output(kernel: Kernel) -> None:
    told = "".join(
        _maniple(kernel, *words) for words in (("models", "--json"), ("settings", "model"), ("show", "model"))
    )
    assert KEY not in told
    assert [path.suffix for path in files_containing(kernel.home, KEY)] == [".secrets"]


def _maniple(kernel: Kernel, *words: str) -> str:
    return Shell(kernel.home).good(*words)
