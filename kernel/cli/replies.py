"""Types of the kernel's replies, and their validation (pure).

They list only the fields that commands show; with --json a reply is printed as it came.
"""

from typing import TypeVar

import msgspec
from msgspec import Struct

from kernel.cli.exits import Ended
from wire.amounts import Used

T = TypeVar("T")


def read(value: object, kind: type[T]) -> T:
    """Convert a reply to its type. Raises Ended if it does not fit, as from a kernel of another version."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Ended(
            f"this command does not understand the kernel's answer ({error}): if it is of another version, "
            "`maniple down`, then `maniple up`"
        ) from None


class Progress(Struct, frozen=True, kw_only=True):
    """The progress that a run reports."""

    done: float | None = None
    total: float | None = None
    text: str = ""

    def shown(self) -> str:
        """Format it in a few words."""
        if self.done is None:
            return self.text
        if not self.total:
            return f"{self.done:g} {self.text}".strip()
        return f"{min(100, 100 * self.done / self.total):.0f}% {self.text}".strip()


class LiveRun(Struct, frozen=True, kw_only=True):
    """A row of kernel.ps.

    overdue: calls that were ended before it answered, whose end it has not acknowledged. began: nanoseconds on the
    kernel's own clock; seconds: since then; memory: resident bytes; used: fuel and memory of a WASM Hand's guests.
    hears: events it subscribes to, filled only when one run was asked for.
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
    """The reply of kernel.ps: a page of runs, oldest first, and whether there are more."""

    runs: tuple[LiveRun, ...]
    more: bool


class HandRow(Struct, frozen=True, kw_only=True):
    """A row of kernel.hands. id: "" from a kernel older than this field, before an update of Maniple."""

    id: str = ""
    name: str
    version: str
    kind: str
    state: str
    wanted: bool
    why: str
    description: str


class Hands(Struct, frozen=True, kw_only=True):
    """The reply of kernel.hands."""

    hands: tuple[HandRow, ...]


class Outcome(Struct, frozen=True, kw_only=True):
    """The reply of kernel.wait: how a run ended."""

    run: str
    outcome: str
    value: object = None
    code: str = ""
    text: str = ""
