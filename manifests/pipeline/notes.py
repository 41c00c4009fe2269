"""What a pipeline run notes in the log of each of its pieces, and how that is read again (pure).

A piece is one run that a pipeline makes: of a step, of a step's item, in the place of one, to undo one, or at the end. The
notes are sentences for people; `maniple pipeline` draws its trees and time lines from them, so both sides are here.
"""

import re
from typing import Final, Literal

from msgspec import Struct

Role = Literal["step", "stand-in", "undo", "finally"]

UNSAID: Final = "so says its pipeline"
"""Why the operator is asked about a step that gives no reason, as by `approval = true`."""

_NAME: Final = re.compile(
    r"(?a)(?P<undo>undo of )?(?P<last>finally )?(?:(?P<other>[a-z][a-z0-9_]*) for )?"
    r"(?P<step>[a-z][a-z0-9_]*)(?:\[(?P<index>\d{1,9})\])?"
)
_BEGUN: Final = re.compile(r"(?a)(?P<name>[^:]+): run (?P<run>r-[a-z0-9]+)(?:, try (?P<tries>\d{1,9}))?")
_ASKS: Final = re.compile(r"(?a)(?P<name>[^:]+) begins after your yes: (?P<why>.*)", re.DOTALL)
_ENDED: Final = re.compile(r"(?a)(?P<name>[^:]+): (?P<how>skipped|failed|waits|undoes)(?:, (?P<why>.*))?", re.DOTALL)
_ITEMS: Final = re.compile(r"(?a)(?P<name>[a-z][a-z0-9_]*): over (?P<count>\d{1,9}) items?")


class PieceName(Struct, frozen=True):
    """Which piece. step: whose it is; index: of its item, -1 for none; other: the step that stands in."""

    step: str
    index: int = -1
    role: Role = "step"
    other: str = ""

    def __str__(self) -> str:
        item = f"{self.step}[{self.index}]" if self.index >= 0 else self.step
        if self.role == "finally":
            return f"finally {item}"
        inner = f"{self.other} for {item}" if self.other else item
        return f"undo of {inner}" if self.role == "undo" else inner


class Noted(Struct, frozen=True):
    """A note, read. how: begun, skipped, failed, waits, undoes, or items (then `number` of them)."""

    name: PieceName
    how: str
    run: str = ""
    number: int = 1
    why: str = ""


def begun(name: PieceName, run: str, tries: int) -> str:
    """A run of this piece is under way."""
    return f"{name}: run {run}" + (f", try {tries}" if tries > 1 else "")


def note_text(name: PieceName, how: str, why: str = "") -> str:
    """A piece was skipped, or failed without a run, or waits for its next try."""
    return f"{name}: {how}" + (f", {why}" if why else "")


def asks(name: PieceName, why: str) -> str:
    """What the operator reads who is asked whether a piece may begin."""
    return f"{name} begins after your yes: {why}"


def asked(text: str) -> PieceName | None:
    """The piece that asks so; None for what no pipeline asks."""
    match = _ASKS.fullmatch(text)
    return _named(match["name"]) if match else None


def items(name: PieceName, count: int) -> str:
    """A step goes over so many items."""
    return f"{name}: over {count} item{'' if count == 1 else 's'}"


def read(text: str) -> Noted | None:
    """A note of a pipeline's, read; None for any other."""
    for pattern in (_BEGUN, _ITEMS, _ENDED):
        match = pattern.fullmatch(text)
        name = _named(match["name"]) if match else None
        if match is None or name is None:
            continue
        found = match.groupdict()
        if pattern is _BEGUN:
            return Noted(name, "begun", run=found["run"], number=int(found["tries"] or 1))
        if pattern is _ITEMS:
            return Noted(name, "items", number=int(found["count"]))
        return Noted(name, found["how"], why=found["why"] or "")
    return None


def _named(text: str) -> PieceName | None:
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    role: Role = "undo" if match["undo"] else "finally" if match["last"] else "stand-in" if match["other"] else "step"
    return PieceName(match["step"], int(match["index"] or -1), role, match["other"] or "")
