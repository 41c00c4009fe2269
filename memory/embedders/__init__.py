"""Embedders, which make vectors of texts: their interface, and the table of those included.

An embedder's name contains model and version: its vectors are stored under it and compared with no others. `vectors` only
computes, so it may run in a thread of its own. A remote embedder, such as one behind the bus, needs no class: the caller
passes its vectors to `memory.vectors.keep` and, for a question, to `memory.recall.recall`.

To add one: a file here, and a row in EMBEDDERS. `best()` returns the best that this machine has.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from memory.embedders import installed

if TYPE_CHECKING:
    from memory.arrays import Floats


class Embedder(Protocol):
    """An embedder. reach: the most words that its vectors represent well; see ranking.trust."""

    @property
    def name(self) -> str:
        """Model and version."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    @property
    def reach(self) -> float:
        """In words, more than 0; infinite for a model that reads a text as a whole."""

    def vectors(self, texts: Sequence[str]) -> "Floats":
        """Return one row of length 1 for each text, whatever the text contains."""


class Choice(Struct, frozen=True):
    """A row of EMBEDDERS. is_here: whether its packages are installed. make: imports and makes the embedder."""

    is_here: Callable[[], bool]
    make: Callable[[], Embedder]


def _minilm() -> Embedder:
    from memory.embedders.minilm import MiniLM

    model = installed.folder()
    assert model is not None
    return MiniLM(model)


def _grams() -> Embedder:
    from memory.embedders.grams import Grams

    return Grams()


EMBEDDERS: Final = {
    "minilm": Choice(lambda: installed.folder() is not None, _minilm),
    "grams": Choice(lambda: True, _grams),
}
"""Best first."""


def best_name() -> str:
    """Return the name of best() in EMBEDDERS, without making it."""
    return next(name for name, one in EMBEDDERS.items() if one.is_here())


def best() -> Embedder:
    """Make the first embedder that this machine has."""
    return EMBEDDERS[best_name()].make()
