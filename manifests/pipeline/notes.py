"""The notes of a pipeline run in the log, about each of its pieces: writing and parsing them (pure).

A piece is one run that a pipeline makes: of a step, of a step's item, of a stand-in, of an undo, or of [finally]. Notes
are sentences for people; `maniple pipeline` also draws its trees and time lines from them.
"""

import re
from typing import Final, Literal

from msgspec import Struct

Role = Literal["step", "stand-in", "undo", "finally"]

UNSAID: Final = "so says its pipeline"
"""The reason given to the operator for a step with `approval = true`."""

_NAME: Final = re.compile(
    r"(?a)(?P<undo>undo of )?(?P<last>finally )?(?:(?P<other>[a-z][a-z0-9_]*) for )?"
    r"(?P<step>[a-z][a-z0-9_]*)(?:\[(?P<index>\d{1,9})\])?"
)
_BEGUN: Final = re.compile(r"(?a)(?P<name>[^:]+): run (?P<run>r-[a-z0-9]+)(?:, try (?P<tries>\d{1,9}))?")
_ASKS: Final = re.compile(r"(?a)(?P<name>[^:]+) begins after your yes: (?P<why>.*)", re.DOTALL)
_ENDED: Final = re.compile(r"(?a)(?P<name>[^:]+): (?P<how>skipped|failed|waits|undoes)(?:, (?P<why>.*))?", re.DOTALL)
_ITEMS: Final = re.compile(r"(?a)(?P<name>[a-z][a-z0-9_]*): over (?P<count>\d{1,9}) items?")


class PieceName(Struct, frozen=True):
    """The identity of a piece. step: its step; index: of its item, -1 for none; other: the step that stands in."""

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
    """A parsed note. how: begun (number: of the try), skipped, failed, waits, undoes, or items (number: of them)."""

    name: PieceName
    how: str
    run: str = ""
    number: int = 1
    why: str = ""


def begun_note(name: PieceName, run: str, tries: int) -> str:
    """Return the note that a run of this piece has begun."""
    return f"{name}: run {run}" + (f", try {tries}" if tries > 1 else "")


def note_text(name: PieceName, how: str, why: str = "") -> str:
    """Return the note that a piece was skipped, failed without a run, waits for its next try, or is undone."""
    return f"{name}: {how}" + (f", {why}" if why else "")


def question(name: PieceName, why: str) -> str:
    """Return the question to the operator whether a piece may begin."""
    return f"{name} begins after your yes: {why}"


def read_question(text: str) -> PieceName | None:
    """Return the piece that a question() is about; None for any other text."""
    match = _ASKS.fullmatch(text)
    return _parse_name(match["name"]) if match else None


def items_note(name: PieceName, count: int) -> str:
    """Return the note of how many items a step has."""
    return f"{name}: over {count} item{'' if count == 1 else 's'}"


def read(text: str) -> Noted | None:
    """Parse a note; None if it is not a pipeline's."""
    for pattern in (_BEGUN, _ITEMS, _ENDED):
        match = pattern.fullmatch(text)
        name = _parse_name(match["name"]) if match else None
        if match is None or name is None:
            continue
        found = match.groupdict()
        if pattern is _BEGUN:
            return Noted(name, "begun", run=found["run"], number=int(found["tries"] or 1))
        if pattern is _ITEMS:
            return Noted(name, "items", number=int(found["count"]))
        return Noted(name, found["how"], why=found["why"] or "")
    return None


def _parse_name(text: str) -> PieceName | None:
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    role: Role = "undo" if match["undo"] else "finally" if match["last"] else "stand-in" if match["other"] else "step"
    return PieceName(match["step"], int(match["index"] or -1), role, match["other"] or "")
