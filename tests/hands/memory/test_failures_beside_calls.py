"""What goes wrong beside a call leaves nothing behind: a model that changed, a caller who has gone, a time that is none."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from memory import graph
from memory.arrays import Floats, np
from tests.hands.doubles import FakeCall, hand_module
from tests.hands.memory.conftest import OWN, Desk
from wire.labels import Labels

memory_makers = hand_module("memory", "memory_makers")
memory_shelf = hand_module("memory", "memory_shelf")


class Elsewhere:
    """A model of one name, whatever the dimension of its vectors is."""

    batch = 4
    called = "acme/words"

    def __init__(self, dimension: int) -> None:
        self.known = memory_makers.Made(name=self.called, dimension=dimension, reach=100.0)

    async def ready(self) -> Any:
        return self.known

    async def question(self, text: str) -> tuple[Any, Floats]:
        return self.known, np.ones((1, self.known.dimension), np.float32)

    async def texts(self, texts: Sequence[str], labels: Labels) -> tuple[Any, Floats]:
        return self.known, np.ones((len(texts), self.known.dimension), np.float32)

    def close(self) -> None:
        """Nothing is being computed."""


def test_words_do_where_a_model_elsewhere_has_changed_its_dimension(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    desk.loop.run_until_complete(desk.hand.embedding.follow(Elsewhere(8)))
    desk.call("store", text="Ada pays by cheque.")
    desk.embedded()
    desk.loop.run_until_complete(desk.hand.embedding.follow(Elsewhere(4)))
    (found,) = desk.call("recall", text="cheque")["results"]
    assert (found["text"], found["meaning"]) == ("Ada pays by cheque.", None)
    desk.call("store", text="Bob pays in cash.")
    desk.until(
        lambda: "8 dimensions here, not 4: `maniple memory reindex`" in capfd.readouterr().err, "a line of the log"
    )


def test_who_looks_for_contradictions_in_large_graphs_leaves_threads_for_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(graph, "contradictions", lambda *_, **__: [gate.wait()][1:])
    desk.call("set", key="k", value=1)
    owners = [f"shared/s{number}" for number in range(memory_shelf.READERS)]
    calls = [FakeCall(owner, "memory.graph.contradictions") for owner in owners]
    held = [desk.loop.create_task(desk.hand.on_call(call, {})) for call in calls]
    desk.until(lambda: len(desk.hand.shelf._files) > len(owners), "the calls")
    try:
        asked = desk.hand.on_call(FakeCall(OWN, "memory.get"), {"key": "k"})
        assert desk.loop.run_until_complete(asyncio.wait_for(asked, 10))["value"] == 1
        assert not any(one.done() for one in held)
    finally:
        gate.set()
        desk.loop.run_until_complete(asyncio.wait(held))


@pytest.mark.parametrize("method", ["backup", "all.export"])
def test_of_a_copy_whose_caller_has_gone_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    desk = Desk(tmp_path)
    desk.call("set", key="k", value=1)
    file, has_begun, gate = desk.hand.shelf._files[OWN], threading.Event(), threading.Event()
    read = file.read

    def late(*given: Any) -> Any:
        has_begun.set()
        gate.wait()
        return read(*given)

    monkeypatch.setattr(file, "read", late)
    asked = desk.loop.create_task(desk.hand.on_call(FakeCall(OWN, f"memory.{method}"), {}))
    desk.until(has_begun.is_set, "the call")
    asked.cancel()
    desk.loop.run_until_complete(asyncio.wait([asked]))
    gate.set()
    desk.stop()
    assert not [*desk.hand.scratch.iterdir()]


@pytest.mark.parametrize("moment", ["1970-01-01T00:00:00Z", "1970-06-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_every_moment_that_a_memory_keeps_can_be_given(desk: Desk, moment: str) -> None:
    number = desk.call("store", text="x", time=moment)["fragment"]
    assert desk.call("fragment", fragment=number)["time"][:19] == moment[:19]


def test_a_moment_beyond_is_told_as_that(desk: Desk) -> None:
    for moment in ("1969-07-20T20:17:00Z", "1970-01-01T00:00:00+00:01", "9999-12-31T23:59:59-01:00"):
        assert desk.fails("store", text="x", time=moment) == (
            f"arguments: '{moment}' lies outside of the years 1970 to 9999, in UTC"
        )
    assert "is not a time such as 2026-" in desk.fails("store", text="x", time="1971-01-01T00:00:00")
