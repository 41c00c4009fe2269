"""What ends no schedule: an event too large to begin a run with."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from runtime.calls import Reply
from runtime.hand import Event
from runtime.kernel_handle import KernelHandle
from tests.hands.doubles import hand_module, seated
from wire import codec, headers, limits
from wire.codec import Value

main: Any = hand_module("scheduling", "main")


class Bus:
    """Stands in for the kernel behind the real KernelHandle: it knows one scheduled Hand, and notes what it is asked.

    fired: keys of the runs that were begun.
    """

    def __init__(self, **schedule: Value) -> None:
        self.schedule = schedule
        self.fired: list[str] = []

    async def call(self, method: str, resource: str, arguments: dict[str, Any], *_: object) -> Reply:
        codec.encode_body(arguments)
        if method == "kernel.fire":
            self.fired.append(arguments["key"])
            return Reply(value={"run": f"r{len(self.fired)}"})
        known: Value = {"name": "tick", "hand": "h1", "since": 1, "schedule": self.schedule}
        return Reply(value={"hands": [known] if method == "kernel.schedules" else [], "more": False})

    async def ask(self, header: headers.Publish | headers.Subscribe, body: bytes = codec.NIL) -> None:
        pass


async def until(found: Callable[[], object]) -> None:
    while not found():  # noqa: ASYNC110  whatever it is that changes
        await asyncio.sleep(0)


def with_scheduling(folder: Path, bus: Bus, work: Callable[[Any], Awaitable[None]]) -> None:
    async def whole() -> None:
        hand = seated(main.Scheduling, "scheduling", folder, {})
        hand.kernel = KernelHandle(bus)  # type: ignore[arg-type]
        async with asyncio.timeout(30):
            await hand.start()
            await work(hand)
            assert not any(task.done() for task in hand.tasks)
            await hand.stop()

    asyncio.run(whole())


def test_an_event_that_is_too_large_for_a_start_is_refused_and_the_next_one_begins(tmp_path: Path) -> None:
    bus = Bus(on="web.seen", overlap="queue")

    async def work(hand: Any) -> None:
        await hand.on_event(Event(publisher="web", name="seen", body="x" * (limits.BODY_MAX - 5)))
        await hand.on_event(Event(publisher="web", name="seen", body="short"))
        await until(lambda: bus.fired)
        first, second = (await hand.history(None))["history"]
        assert (first["what"], second["what"]) == ("refused", "fired")
        assert "web.seen says too much to begin a run with" in first["why"]

    with_scheduling(tmp_path, bus, work)
