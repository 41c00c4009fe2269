"""An agent subscribes before it does anything else; what it may not hear it does without, and nothing else is taken so."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from manifests.check import check
from runtime.agent.hand import AgentHand
from runtime.errors import CallRefused, Failure
from runtime.hand import Event, Place
from runtime.kernel_handle import Rows
from runtime.settings import Settings

TOML: Final = """
[hand]
name = "tidy"
version = "1.0.0"
description = "Tidies up."
kind = "task"
autonomy = "full"

[agent]
model = "default"

[capabilities]
"model.complete" = ["default"]

[events]
subscribes = ["operator.said"]
"""


class Begun(Exception):
    """It goes on to what comes after subscribing."""


class Refusing:
    """A kernel that refuses the first subscriptions: one whose disk is full does so for moments that no test meets."""

    def __init__(self, code: str, times: int = 1000) -> None:
        self.code, self.times = code, times
        self.noted: list[str] = []
        self.slept: list[float] = []

    async def subscribe(self, event: str) -> None:
        self.times -= 1
        if self.times >= 0:
            raise CallRefused(self.code, f"{event} is refused")

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def note(self, text: str) -> None:
        self.noted.append(text)

    async def describe(self) -> Rows:
        raise Begun


def _hand(kernel: Refusing, folder: Path) -> AgentHand:
    manifest = check(TOML, file="HAND.toml")
    hand = AgentHand.__new__(AgentHand)
    hand._set_place(
        Place(
            run="r-0000000000000000", manifest=manifest, kernel=kernel,  # type: ignore[arg-type]  # see above
            settings=Settings(manifest.settings, {}), files={}, scratch=folder, state=None, roots={},
            begin=lambda work: asyncio.get_running_loop().create_task(work),
        )
    )  # fmt: skip
    return hand


def _run(kernel: Refusing, folder: Path) -> None:
    hand = _hand(kernel, folder)

    async def run() -> None:
        await hand.start()
        await hand.run("tidy up")

    asyncio.run(run())


def test_an_agent_that_may_not_hear_an_event_says_so_and_works_all_the_same(tmp_path: Path) -> None:
    kernel = Refusing("capability")
    with pytest.raises(Begun):
        _run(kernel, tmp_path)
    assert kernel.noted == ["not subscribed to operator.said: capability: operator.said is refused"]


def test_a_disk_that_is_full_is_waited_for(tmp_path: Path) -> None:
    kernel = Refusing("log", times=2)
    with pytest.raises(Begun):
        _run(kernel, tmp_path)
    assert (kernel.noted, kernel.slept, kernel.times) == ([], [1, 2], -1)


def test_who_has_asked_for_too_much_in_a_minute_waits_as_that_says(tmp_path: Path) -> None:
    kernel = Refusing("rate", times=2)
    with pytest.raises(Begun):
        _run(kernel, tmp_path)
    assert (kernel.noted, kernel.slept, kernel.times) == ([], [0.5, 1.0], -1)


@pytest.mark.parametrize("code", ["in_flight", "paused", "subscriptions"])
def test_whatever_else_refuses_it_is_no_lack_of_a_grant_and_ends_it_with_the_reason(tmp_path: Path, code: str) -> None:
    kernel = Refusing(code)
    with pytest.raises(Failure, match=r"operator\.said is refused") as failed:
        _run(kernel, tmp_path)
    assert (failed.value.code, kernel.noted) == (code, [])


def test_what_an_event_says_to_this_run_is_taken_with_the_labels_of_who_said_it(tmp_path: Path) -> None:
    hand = _hand(Refusing("capability"), tmp_path)

    async def said(**body: object) -> tuple[object, ...]:
        await hand.start()
        hand._labels_within = frozenset({"model"})
        event = Event(publisher="talker", name="operator.said", body=body, labels=("mail", "model"))  # type: ignore[arg-type]
        await hand.on_event(event)
        if hand._happened.empty():
            return ()
        heard = hand._happened.get_nowait()
        return heard.text, heard.labels, heard.stops

    mine = "r-0000000000000000"
    assert asyncio.run(said(run=mine, text="go on")) == ("go on", ("mail",), False)
    assert asyncio.run(said(run=mine, stop=True)) == ("", ("mail",), True)
    for nothing in ({"run": "r-1111111111111111", "text": "go on"}, {"text": "go on"}, {"run": mine}):
        assert asyncio.run(said(**nothing)) == ()
