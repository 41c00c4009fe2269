"""What the kernel answers, as types (pure): a reply is read here once, and is then what it says it is.

Only what a table shows is named; with --json the reply goes out as it came.
"""

from typing import TypeVar

import msgspec
from msgspec import Struct

from kernel.cli.exits import Ended
from wire.entries import Used

T = TypeVar("T")


def read(value: object, kind: type[T]) -> T:
    """A reply as its type. Raises Ended for a kernel of another version."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Ended(
            f"this command does not understand the kernel's answer ({error}): if it is of another version, "
            "`maniple down`, then `maniple up`"
        ) from None


class Progress(Struct, frozen=True, kw_only=True):
    """How far a run says it is."""

    done: float | None = None
    total: float | None = None
    text: str = ""

    def shown(self) -> str:
        """In a few words."""
        if self.done is None:
            return self.text
        if not self.total:
            return f"{self.done:g} {self.text}".strip()
        return f"{min(100, 100 * self.done / self.total):.0f}% {self.text}".strip()


class LiveRun(Struct, frozen=True, kw_only=True):
    """A row of kernel.ps.

    overdue: calls that were ended before it answered, whose end it has not acknowledged. began: nanoseconds on the
    kernel's own clock; seconds: since then; memory: bytes resident; used: by the guests of a WASM Hand. hears: events,
    told where one run alone was asked for.
    """

    run: str
    hand: str
    version: str
    pid: int
    state: str
    cpu_seconds: float
    memory: int
    calls: int
    open: int
    overdue: int = 0
    tokens: int
    micro_dollars: int
    began: int
    seconds: float
    progress: Progress | None = None
    used: Used | None = None
    confinement: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    uid: int | None = None
    hears: tuple[str, ...] = ()


class LiveRuns(Struct, frozen=True, kw_only=True):
    """kernel.ps: a page of runs, the oldest first, and whether there are more."""

    runs: tuple[LiveRun, ...]
    more: bool


class Row(Struct, frozen=True, kw_only=True):
    """A row of kernel.hands. id: "" where a kernel of before an update of Maniple tells none."""

    id: str = ""
    name: str
    version: str
    kind: str
    state: str
    wanted: bool
    why: str
    description: str


class Rows(Struct, frozen=True, kw_only=True):
    """kernel.hands."""

    hands: tuple[Row, ...]


class Outcome(Struct, frozen=True, kw_only=True):
    """How a run ended: kernel.wait."""

    run: str
    outcome: str
    value: object = None
    code: str = ""
    text: str = ""
