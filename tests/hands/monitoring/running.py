"""The whole Hand in its tests' hands: started, with its real settings, manifest and history, and let go on round by round."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from manifests.check import check
from runtime import KernelHandle
from runtime.hand import Place
from runtime.settings import Settings
from tests.hands.doubles import HANDS, FakeCall, hand_module
from tests.hands.monitoring.world import World

main = hand_module("monitoring", "main")
Reply = dict[str, Any]
"""A reply; what it holds is what the tests assert."""

MANIFEST = check((HANDS / "monitoring/HAND.toml").read_text(), file="HAND.toml")


class Running:
    """A started Hand. Its loop stands still in its sleep until `round` lets it go on."""

    def __init__(self, world: World, hand: SimpleNamespace, settings: Settings) -> None:
        self.world, self.hand, self.settings = world, hand, settings
        self.asleep, self.go = asyncio.Event(), asyncio.Event()
        world.on_sleep = self._sleep

    async def _sleep(self, _: float) -> None:
        self.asleep.set()
        await self.go.wait()
        self.go.clear()

    async def rounds(self, count: int = 1) -> None:
        """Let it look `count` times more."""
        for _ in range(count):
            await self.asleep.wait()
            self.asleep.clear()
            self.go.set()
        await self.asleep.wait()

    async def ask(self, method: str, resource: str = "", **arguments: object) -> Reply:
        reply = await self.hand.on_call(FakeCall(resource, f"monitoring.{method}"), arguments)
        provided = MANIFEST.provides[f"monitoring.{method}"]
        assert set(reply) == set(provided.returns)
        return dict(reply)


@asynccontextmanager
async def running(
    world: World, state: Path, monkeypatch: pytest.MonkeyPatch, **given: object
) -> AsyncIterator[Running]:
    monkeypatch.setattr(main, "now_ms", world.clock)  # hours go by; the one place where the Hand reads the clock
    settings = Settings(MANIFEST.settings, given)
    async with asyncio.TaskGroup() as group:
        hand = main.Monitoring.__new__(main.Monitoring)
        hand._set_place(
            Place(
                run="r1",
                manifest=MANIFEST,
                kernel=cast("KernelHandle", world),  # it answers the same methods
                settings=settings,
                files={},
                scratch=state,
                state=state,
                roots={},
                begin=group.create_task,
            )
        )
        it = Running(world, hand, settings)
        await hand.start()
        try:
            yield it
        finally:
            await hand.stop()
