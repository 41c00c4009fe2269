"""What a pipeline's machine is told and what it wants done (values only)."""

from msgspec import Struct

from manifests.pipeline.notes import PieceName


class End(Struct, frozen=True, kw_only=True):
    """How a piece's run ended. code: "" when it was done, and then value is what it returned."""

    value: object = None
    code: str = ""
    text: str = ""


class Begin(Struct, frozen=True, kw_only=True):
    """Make a run of a Hand, tell when it has begun, and how it ended. tries: which try this is, from 1; timeout_ms: 0 for
    none. asks: why the operator is to be asked first, "" where he is not.
    """

    piece: int
    name: PieceName
    hand: str
    given: dict[str, object]
    timeout_ms: int
    tries: int
    asks: str = ""


class Sleep(Struct, frozen=True, kw_only=True):
    """Tell when so much time is over."""

    piece: int
    milliseconds: int


class TakeBack(Struct, frozen=True, kw_only=True):
    """A run that has not begun is not wanted any more. What became of it is told all the same."""

    piece: int


class Note(Struct, frozen=True, kw_only=True):
    """Tell people."""

    text: str


Action = Begin | Sleep | TakeBack | Note


class Result(Struct, frozen=True, kw_only=True):
    """The one end. code: "" when all is done, and then value holds the outputs. step: what failed first.

    undone, left: pieces that were undone, and those whose undoing failed.
    """

    value: object = None
    code: str = ""
    text: str = ""
    step: str = ""
    undone: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
