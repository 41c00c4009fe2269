"""Stands in for the bus when a provider Hand is tested by itself (acts): a call with what a caller sends, and a loader.

Separate because every provider Hand is tested so; the whole way through kernel and bus is the system test's.
"""

import asyncio
import importlib
import importlib.util
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from manifests.check import check
from runtime.hand import Hand, Place
from runtime.settings import Settings
from wire.amounts import Used

H = TypeVar("H", bound=Hand)
HANDS = Path(__file__).resolve().parents[2] / "hands"


def hand_module(hand: str, name: str) -> ModuleType:
    """A module of a Hand, whose modules import each other by bare name. `main` gets a name of its own, for every Hand
    has one.
    """
    folder = str(HANDS / hand)
    if folder not in sys.path:
        sys.path.append(folder)
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # a __pycache__ in a Hand's folder would be a file that its seal does not know
    try:
        return importlib.import_module(name) if name != "main" else _main_of(hand)
    finally:
        sys.dont_write_bytecode = before


def _main_of(hand: str) -> ModuleType:
    known = f"main_of_{hand}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, HANDS / hand / "main.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[known] = module
        spec.loader.exec_module(module)
    return sys.modules[known]


def seated(kind: type[H], hand: str, folder: Path, roots: dict[str, int], **settings: object) -> H:
    """A Hand in its place, not yet started: its own HAND.toml, these settings, `state` and `scratch` below the folder.

    It has no link: its kernel is None, so this is for Hands that call nobody.
    """
    manifest = check((HANDS / hand / "HAND.toml").read_text(), file="HAND.toml")
    for name in ("state", "scratch"):
        (folder / name).mkdir(exist_ok=True)
    place = Place(
        run="r1",
        manifest=manifest,
        kernel=None,  # type: ignore[arg-type]  # see above
        settings=Settings(manifest.settings, settings),
        files={},
        scratch=folder / "scratch",
        state=folder / "state",
        roots=roots,
        begin=lambda work: asyncio.get_running_loop().create_task(work),
    )
    made = kind.__new__(kind)
    made._set_place(place)
    made.__init__()  # type: ignore[misc]  # as runtime.main does it: a Hand finds its place in __init__ already
    made._check()
    return made


class FakeCall:
    """What a Hand sees of a call. upload: what the caller streams; sent: what the Hand streamed to it, chunk by
    chunk.
    """

    def __init__(
        self,
        resource: str,
        method: str = "",
        *,
        upload: Iterable[bytes] | AsyncIterator[bytes] | None = None,
        labels: Iterable[str] = (),
        on_chunk: Callable[[bytes], None] | None = None,
    ) -> None:
        self.resource = resource
        self.method = method
        self.number = 2  # the kernel's: the first of a home
        self.labels = frozenset(labels)
        self.added: set[str] = set()
        self.used: Used | None = None
        self.sent: list[bytes] = []
        self.uploads = upload is not None
        self.upload = upload if isinstance(upload, AsyncIterator) else _each(upload or ())
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

    def measured(self, used: Used) -> None:
        """Notes what the Hand says that it used."""
        self.used = used


async def _each(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
