"""A started Hand `memory` by itself, and its loop, which goes on only while a test waits (acts)."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime import Failure
from tests.hands.doubles import FakeCall, hand_module, seated

OWN = "own/h-4kz8w1m3q0v7x2ab"
CHAT = f"{OWN}/session/bot/mail/-/ada"


class Desk:
    """A started Hand and its loop; each call is waited for."""

    def __init__(self, folder: Path, **given: object) -> None:
        self.loop = asyncio.new_event_loop()
        self.hand: Any = seated(hand_module("memory", "main").Memory, "memory", folder, {}, **given)
        self.loop.run_until_complete(self.hand.start())

    def call(self, method: str, on: str = OWN, /, *, upload: Iterator[bytes] | None = None, **given: object) -> Any:
        made = FakeCall(on, f"memory.{method}", upload=upload)
        return self.loop.run_until_complete(self.hand.on_call(made, given))

    def fails(self, method: str, on: str = OWN, /, *, upload: Iterator[bytes] | None = None, **given: object) -> str:
        with pytest.raises(Failure) as failed:
            self.call(method, on, upload=upload, **given)
        return f"{failed.value.code}: {failed.value.text}"

    def is_whole(self) -> bool:
        return bool(self.call("verify")["ok"])

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Let the Hand go on until something holds."""
        ends = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < ends, f"{what} did not come"
            self.loop.run_until_complete(asyncio.sleep(0.01))

    def embedded(self, on: str = OWN) -> None:
        """Let the Hand go on until every text has its vectors."""
        self.until(lambda: self.call("stats", on)["waiting"] == 0, "vectors")

    def stop(self) -> None:
        self.loop.run_until_complete(self.hand.stop())
        self.loop.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.stop()
