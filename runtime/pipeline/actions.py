"""The inputs and actions of a pipeline's machine (values)."""

from msgspec import Struct

from manifests.pipeline.notes import PieceName


class End(Struct, frozen=True, kw_only=True):
    """How a piece's run ended. code: "" if it ended in done; then value is what it returned."""

    value: object = None
    code: str = ""
    text: str = ""


class Begin(Struct, frozen=True, kw_only=True):
    """Make a run of a Hand, and report when it has begun and how it ended. tries: the number of this try, from 1. timeout_ms:
    0 for none. asks: why the operator must be asked first, "" if not.
    """

    piece: int
    name: PieceName
    hand: str
    given: dict[str, object]
    timeout_ms: int
    tries: int
    asks: str = ""


class Sleep(Struct, frozen=True, kw_only=True):
    """Report when this time is over."""

    piece: int
    milliseconds: int


class TakeBack(Struct, frozen=True, kw_only=True):
    """Withdraw a run that has not begun. Its end is reported all the same."""

    piece: int


class Note(Struct, frozen=True, kw_only=True):
    """Write a note for people."""

    text: str


Action = Begin | Sleep | TakeBack | Note


class Result(Struct, frozen=True, kw_only=True):
    """The end of the pipeline. code: "" if all is done; then value holds the outputs. step: the first that failed.

    undone, left: pieces that were undone, and those whose undo failed.
    """

    value: object = None
    code: str = ""
    text: str = ""
    step: str = ""
    undone: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
