"""Drivers: one interface to all providers, and the table of drivers.

A driver is made for one Endpoint and lives as long as its settings do. `stream` is the only way to an answer: it yields
pieces as they come, then exactly one Answer. Contract of every driver:

- It makes one request and retries nothing: `retrying` and `routing` decide that. An SDK's own retries are off.
- It raises ModelFailed and nothing else, within its Endpoint's times, whatever the other side does.
- Closing the stream (`aclose`, or cancelling the task that reads it) ends the request; its connection is closed by then.
- Text that was yielded is in the Answer, in the same order; nothing is yielded twice.
- It stores, logs and shows no key, and reads no environment variable.

To add one: a file here, and a row in DRIVERS.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from importlib import import_module
from typing import Final, Protocol, runtime_checkable

from msgspec import Struct

from runtime.models.messages import Answer, AnyPiece, Embedded, Listed, Request


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where a driver sends its requests. key: "" if none is needed; it is never shown.

    provider: its name in PROVIDER/MODEL. quirks: of its row in providers.toml. first, silence, whole: seconds to the first
    byte of an answer, between two of them, and for all of it. options: what else a driver needs, such as a script.
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
    """A driver for one Endpoint; the contract is above. model: the provider's name for it, without PROVIDER/.

    counts: the provider counts tokens, so `count` is a request to it.
    """

    counts: bool

    def stream(self, model: str, request: Request) -> AsyncIterator[AnyPiece | Answer]:
        """Yield pieces, then the Answer."""

    async def embed(self, model: str, texts: Sequence[str]) -> Embedded:
        """Return one vector for each text."""

    async def list_models(self) -> tuple[Listed, ...]:
        """Return the models that the provider says it offers."""

    async def count(self, model: str, request: Request) -> int | None:
        """Return the tokens of the request as the provider counts them, None if it does not count them."""

    async def close(self) -> None:
        """Close all connections."""


DRIVERS: Final[dict[str, tuple[str, str]]] = {
    "anthropic": ("runtime.models.drivers.anthropic", "Anthropic"),
    "openai": ("runtime.models.drivers.openai", "OpenAI"),
    "offline": ("runtime.models.drivers.offline", "Offline"),
    "scripted": ("runtime.models.drivers.scripted", "Scripted"),
}
"""Module and class of each driver. A module is imported when first needed: an SDK costs seconds and tens of MB."""


def load_driver(name: str) -> Callable[[Endpoint], Driver]:
    """Import a driver's class, by its name in DRIVERS. A new driver opens no connection."""
    module, kind = DRIVERS[name]
    found: Callable[[Endpoint], Driver] = getattr(import_module(module), kind)
    return found
