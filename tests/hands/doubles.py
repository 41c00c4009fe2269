"""Stands in for the bus when a provider Hand is tested by itself (acts): a call with what a caller sends, and a loader.

Separate because every provider Hand is tested so; the whole way through kernel and bus is the system test's.
"""

import importlib
import importlib.util
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import ModuleType

HANDS = Path(__file__).resolve().parents[2] / "hands"


def hand_module(hand: str, name: str) -> ModuleType:
    """A module of a Hand, whose modules import each other by bare name. `main` gets a name of its own, for every Hand
    has one.
    """
    folder = str(HANDS / hand)
    if folder not in sys.path:
        sys.path.append(folder)
    if name != "main":
        return importlib.import_module(name)
    known = f"main_of_{hand}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, HANDS / hand / "main.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[known] = module
        spec.loader.exec_module(module)
    return sys.modules[known]


class FakeCall:
    """What a Hand sees of a call. upload: what the caller streams; sent: what the Hand streamed to it, chunk by
    chunk.
    """

    def __init__(
        self,
        resource: str,
        *,
        upload: Iterable[bytes] | AsyncIterator[bytes] = (),
        labels: Iterable[str] = (),
        on_chunk: Callable[[bytes], None] | None = None,
    ) -> None:
        self.resource = resource
        self.labels = frozenset(labels)
        self.added: set[str] = set()
        self.sent: list[bytes] = []
        self.upload = upload if isinstance(upload, AsyncIterator) else _each(upload)
        self._on_chunk = on_chunk

    @property
    def body(self) -> bytes:
        """All that was streamed."""
        return b"".join(self.sent)

    async def send(self, chunk: bytes) -> None:
        """Takes a chunk, as the caller would."""
        self.sent.append(chunk)
        if self._on_chunk:
            self._on_chunk(chunk)

    def add_labels(self, *labels: str) -> None:
        """Notes labels that the Hand adds."""
        self.added.update(labels)


async def _each(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
