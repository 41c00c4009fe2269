"""Drivers: what differs between providers, behind one interface, and the table of those that are here.

A driver is made for one Endpoint and lives as long as its settings do. `stream` is the one way to an answer: it yields pieces
as they come and ends in exactly one Answer, which is the last; `complete` collects it. Contract of every driver:

- It makes one request and tries nothing twice: `retrying` and `routing` decide that. An SDK's own retries are off.
- It raises ModelFailed and nothing else, within its Endpoint's times, whatever the other side does.
- Closing the stream (`aclose`, or cancelling the task that reads it) ends the request: its connection is closed by then.
- Text that was yielded is in the Answer, in the same order; nothing is yielded twice.
- It keeps, logs and tells no key, and needs no environment variable.

To add one: a file here, and a row in DRIVERS.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from importlib import import_module
from typing import Final, Protocol, runtime_checkable

from msgspec import Struct

from runtime.models.failures import ModelFailed
from runtime.models.messages import Answer, AnyPiece, Embedded, Listed, Request


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where a driver sends its requests. key: "" where none is needed; it is never shown.

    provider: its name in PROVIDER/MODEL. quirks: words that the driver knows, out of providers.toml. first, silence, whole:
    seconds to the first byte, between two, and for all of it. options: what else a driver wants, such as a script's path.
    """

    provider: str
    base_url: str = ""
    key: str = ""
    quirks: tuple[str, ...] = ()
    first: float = 120.0
    silence: float = 120.0
    whole: float = 1800.0
    options: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Endpoint({self.provider!r}, {self.base_url!r})"


@runtime_checkable
class Driver(Protocol):
    """See above. model: the provider's own name of it, without the provider's."""

    def stream(self, model: str, request: Request) -> AsyncIterator[AnyPiece | Answer]:
        """Pieces, then the Answer. An async generator."""

    async def embed(self, model: str, texts: Sequence[str]) -> Embedded:
        """One vector for each text."""

    async def listed(self) -> tuple[Listed, ...]:
        """The models that the provider says it has."""

    async def count(self, model: str, request: Request) -> int | None:
        """Tokens of the request as the provider counts them, None where it does not say."""

    async def close(self) -> None:
        """Close what is open."""


DRIVERS: Final[dict[str, tuple[str, str]]] = {
    "anthropic": ("runtime.models.drivers.anthropic", "Anthropic"),
    "openai": ("runtime.models.drivers.openai", "OpenAI"),
    "offline": ("runtime.models.drivers.offline", "Offline"),
    "scripted": ("runtime.models.drivers.scripted", "Scripted"),
}
"""Module and class of each, imported when it is first asked for: an SDK costs seconds and tens of MB."""


def kind_of(name: str) -> Callable[[Endpoint], Driver]:
    """A driver's class, by its name in the table; it takes the Endpoint and opens nothing. The first asking imports it."""
    module, kind = DRIVERS[name]
    found: Callable[[Endpoint], Driver] = getattr(import_module(module), kind)
    return found


def driver(name: str, endpoint: Endpoint) -> Driver:
    """A new driver, by its name in the table."""
    return kind_of(name)(endpoint)


async def complete(pieces: AsyncIterator[AnyPiece | Answer], provider: str = "") -> Answer:
    """The Answer of a stream. ModelFailed("cut") for one that ends without."""
    answer: Answer | None = None
    async for piece in pieces:
        if isinstance(piece, Answer):
            answer = piece
    if answer is None:
        raise ModelFailed("cut", "the stream ended before the answer did", provider=provider)
    return answer
