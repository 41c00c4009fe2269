"""Drivers: one for a provider, however many ask at once, and closed when nobody asks with its settings any more."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.models import drivers
from runtime.models.drivers import Driver, Endpoint
from runtime.models.drivers.scripted import Scripted
from tests.hands.model.calls import ASKED, Asking, hand_of

SOON = '{"text": "ok", "times": 0}'
LATE = '{"text": "late", "delay": 60}'


class Drivers:
    """Those that were made. came: there is one. open: not closed yet. gate: until it is set, none is made."""

    def __init__(self) -> None:
        self.made = 0
        self.came = asyncio.Event()
        self.open: set[Driver] = set()
        self.gate = threading.Event()
        self.gate.set()

    def load_driver(self, name: str) -> Callable[[Endpoint], Driver]:
        """In the place of drivers.load_driver."""
        assert name == "scripted"
        self.gate.wait()
        noted = self

        class Noted(Scripted):
            def __init__(self, endpoint: Endpoint) -> None:
                super().__init__(endpoint)
                noted.made += 1
                noted.came.set()
                noted.open.add(self)

            async def close(self) -> None:
                noted.open.remove(self)

        return Noted


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Drivers:
    found = Drivers()
    monkeypatch.setattr(drivers, "load_driver", found.load_driver)
    return found


def _asked(hand: Any) -> "asyncio.Task[object]":
    return asyncio.create_task(hand.complete(Asking("scripted/script"), **ASKED))


def test_two_first_calls_at_once_make_one_driver_which_the_hand_closes_when_it_stops(
    tmp_path: Path, noted: Drivers
) -> None:
    async def both() -> None:
        hand = hand_of(tmp_path, SOON)
        await hand.start()
        noted.gate.clear()
        calls = [_asked(hand), _asked(hand)]
        await asyncio.sleep(0)
        noted.gate.set()
        await asyncio.gather(*calls)
        assert (noted.made, len(noted.open)) == (1, 1)
        await hand.stop()

    asyncio.run(both())
    assert not noted.open


def test_drivers_with_settings_of_before_are_closed_when_the_last_call_that_asks_with_them_ends(
    tmp_path: Path, noted: Drivers
) -> None:
    async def changed() -> None:
        hand = hand_of(tmp_path, LATE, SOON)
        await hand.start()
        late = _asked(hand)
        await noted.came.wait()
        await _asked(hand)
        await hand.on_settings(frozenset({"script"}))
        assert (noted.made, len(noted.open)) == (1, 1), "a call is under way"
        late.cancel()
        await asyncio.wait([late])
        assert not noted.open

    asyncio.run(changed())


def test_drivers_with_settings_of_before_are_closed_at_once_where_no_call_is_under_way(
    tmp_path: Path, noted: Drivers
) -> None:
    async def changed() -> None:
        hand = hand_of(tmp_path, SOON)
        await hand.start()
        await _asked(hand)
        await hand.on_settings(frozenset({"script"}))
        assert (noted.made, len(noted.open)) == (1, 0)

    asyncio.run(changed())


def test_a_driver_that_a_call_makes_after_the_settings_changed_is_closed_with_that_call(
    tmp_path: Path, noted: Drivers
) -> None:
    async def changed() -> None:
        hand = hand_of(tmp_path, SOON)
        await hand.start()
        noted.gate.clear()
        call = _asked(hand)
        await asyncio.sleep(0)
        await hand.on_settings(frozenset({"script"}))
        noted.gate.set()
        await call
        assert (noted.made, len(noted.open)) == (1, 0)

    asyncio.run(changed())
