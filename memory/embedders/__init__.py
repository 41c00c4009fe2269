"""Embedders: what makes vectors of texts, behind one interface, and the table of those that are here.

An embedder's name says model and version: its vectors are kept under it and meet no others. `vectors` computes and does
nothing else, so it may run in a thread of its own. An embedder that lives elsewhere, such as one behind the bus, needs no
class: who has its vectors brings them to `memory.vectors.keep` and, with a question's, `memory.recall.recall`.

To add one: a file here, and a row in EMBEDDERS. The best that this machine has is `best()`.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from memory.embedders import installed

if TYPE_CHECKING:
    from memory.arrays import Floats


class Embedder(Protocol):
    """reach: of how many words a vector of its can tell; in a space of longer chunks it is trusted less (ranking.trust)."""

    @property
    def name(self) -> str:
        """Model and version."""

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""

    @property
    def reach(self) -> float:
        """Words, more than 0; infinite for what reads a text as a whole."""

    def vectors(self, texts: Sequence[str]) -> "Floats":
        """One row of length 1 for each text, whatever the text holds."""


class Choice(Struct, frozen=True):
    """is_here: whether what it needs is installed. make: the embedder, imported when it is asked for."""

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


def chosen() -> str:
    """What best() is called in the table, told without making it."""
    return next(name for name, one in EMBEDDERS.items() if one.is_here())


def best() -> Embedder:
    """The first that this machine has."""
    return EMBEDDERS[chosen()].make()
