"""A small world for the monitoring Hand (acts in memory): a clock that is moved by hand, and providers that answer as
told.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Self

from runtime import CallFailed

Answer = Callable[[str, Mapping[str, object]], object]

START = 20_000 * 86_400_000 + 3 * 3_600_000
MINUTE = 60_000


class World:
    """The kernel as a Hand sees it: `call`, `stream`, `sleep`. answers: what each method answers, or raises.

    A stream's answer is (chunks, reply). calls: every call that was made.
    """

    def __init__(self) -> None:
        self.now = START
        self.answers: dict[str, Answer] = {"machine.stats": lambda _, __: stats()}
        self.calls: list[tuple[str, str]] = []
        self.published: list[tuple[str, Mapping[str, Any]]] = []
        self.published_labels: list[tuple[str, ...]] = []
        self.publish_ends_in: Exception | None = None
        self.on_sleep: Callable[[float], Awaitable[None]] | None = None

    def clock(self) -> int:
        return self.now

    def _answer(self, method: str, resource: str, arguments: Mapping[str, object]) -> object:
        self.calls.append((method, resource))
        if method not in self.answers:
            raise CallFailed("no provider", f"nobody provides {method}")
        found = self.answers[method](resource, arguments)
        if isinstance(found, BaseException):
            raise found
        return found

    async def call(self, method: str, resource: str = "", /, **arguments: object) -> object:
        _is_bounded(arguments)
        return SimpleNamespace(value=self._answer(method, resource, arguments))

    def stream(self, method: str, resource: str, /, *, upload: bool = False, **arguments: object) -> "FakeStream":
        _is_bounded(arguments)
        return FakeStream(lambda: self._answer(method, resource, arguments))

    async def publish(self, name: str, body: object = None, *, labels: tuple[str, ...] = ()) -> None:
        if self.publish_ends_in is not None:
            raise self.publish_ends_in
        assert isinstance(body, dict)
        self.published.append((name, body))
        self.published_labels.append(labels)

    async def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1000)
        if self.on_sleep is not None:
            await self.on_sleep(seconds)


class FakeStream:
    """One streamed call: its chunks, then its reply; a failure comes when it is read, as from the bus."""

    def __init__(self, answer: Callable[[], object]) -> None:
        self._answer = answer
        self.reply: object = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def finish(self) -> None:
        return None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        found = self._answer()
        assert isinstance(found, tuple)
        chunks: Iterable[bytes] = found[0]
        for chunk in chunks:
            yield chunk
        self.reply = SimpleNamespace(value=found[1])


def _is_bounded(arguments: dict[str, object]) -> None:
    """Every call has a time, and what is left goes to the provider."""
    timeout = arguments.pop("timeout")
    assert isinstance(timeout, float)
    assert timeout > 0


def stats(noise: random.Random | None = None, *, uptime: int = 1000, **over: object) -> dict[str, object]:
    """What machine.stats answers on a healthy machine; with noise, as one that is lightly used."""
    wobble = noise.gauss if noise else lambda centre, _: centre
    return {
        "time_ms": 0,
        "cpu": {"percent": min(100.0, max(0.0, wobble(7.0, 3.0))), "iowait_percent": max(0.0, wobble(0.5, 0.3))},
        "memory": {"percent": wobble(41.0, 0.8)},
        "swap": {"percent": 0.0},
        "load": {"five_per_core": max(0.0, wobble(0.2, 0.08))},
        "disks": [
            {"mount": "/", "percent": wobble(48.0, 0.05), "inodes_percent": 4.0, "readonly": False},
            {"mount": "/snap/x 1", "percent": 100.0, "inodes_percent": 100.0, "readonly": True},
        ],
        "network": [
            {"name": "lo", "received_bytes": 1, "sent_bytes": 1},
            {"name": "eth0", "received_bytes": 5_000 * uptime, "sent_bytes": 2_000 * uptime},
        ],
        "temperatures": None,
        "uptime": {"seconds": uptime},
        "missing": [],
        **over,
    }
