"""How far a pipeline run is, from the log's entries (pure): its pieces, their runs, and the pieces of those.

A run's notes tell which run belongs to which piece (manifests/pipeline/notes.py); that it made that run itself, the entries
of its work tell, so that no note of another's counts; a run is of one piece, the first. What a step notes is of pieces of
its own, and of none of its pipeline's. Entries may come while the run goes on.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from kernel.cli.history import decide_hint
from manifests.approvals import logged_wish
from manifests.pipeline import notes
from manifests.pipeline.notes import PieceName
from manifests.waiting import WAITS
from wire.entries import Entry, time_micros

NEEDLES: Final = (
    b'"kind":"note"', b'"kind":"run.', b'"kind":"decision"', b'"method":"run"', b'"method":"kernel.spawn"',
    b'"cost":{',
)  # fmt: skip
"""What a line of the log holds that says something of a pipeline run, or of what a run has cost."""


ASKS: Final = "asks you"


class Try(Struct, kw_only=True):
    """One run of a piece. Times in microseconds, 0 while unknown. outcome: working, WAITS, done, failed…"""

    run: str
    hand: str = ""
    version: str = ""
    started: int = 0
    ended: int = 0
    outcome: str = "working"
    why: str = ""
    micro_dollars: int = 0


class Piece(Struct, kw_only=True):
    """A piece of a pipeline run.

    state: ASKS (it waits for the operator's yes), working, waiting (for its next try), skipped, or as its last try ended.
    items: how many it goes over, -1 for none; done: how many of them are.
    """

    name: PieceName
    state: str = "working"
    why: str = ""
    items: int = -1
    done: int = 0
    tries: list[Try] = []


class Course:
    """Everything that entries told so far of runs and their pieces."""

    def __init__(self) -> None:
        self.tries: dict[str, Try] = {}
        self.pieces: dict[str, dict[PieceName, Piece]] = {}
        self._work: dict[int, str] = {}
        self._held: dict[int, Piece] = {}
        self._begun: set[str] = set()
        self._spawned_by: dict[str, str] = {}
        self._spawned: dict[str, list[str]] = {}
        self._instead: dict[str, str] = {}

    def take(self, entry: Entry) -> None:
        """Let one entry tell."""
        if entry.cost is not None and entry.run in self.tries:
            self.tries[entry.run].micro_dollars += entry.cost.micro_dollars
        match entry.kind:
            case "run.start" if entry.run not in self.tries and entry.call:  # no other process of a run, nor a replay
                name, version = str(entry.detail.get("name", "")), str(entry.detail.get("version", ""))
                one = Try(run=entry.run, hand=name, version=version, started=time_micros(entry.time))
                self.tries[entry.run] = one
                self._work[entry.call] = entry.run
                if "instead" in entry.detail:
                    self._instead[str(entry.detail["instead"])] = entry.run
            case "call" if entry.verdict == "held":
                self._ask(entry)
            case "end" if entry.call in self._held:
                self._answered(self._held.pop(entry.call), entry)
            case "call" if entry.call in self._work:
                self._spawned_by[self._work[entry.call]] = entry.principal
                self._spawned.setdefault(entry.principal, []).append(self._work[entry.call])
            case "end" if entry.call in self._work:
                self._end(self.tries[self._work[entry.call]], entry)
            case "decision" if entry.run in self.tries and not self.tries[entry.run].ended:
                one = self.tries[entry.run]
                is_asked = entry.verdict == "asked"
                one.outcome, one.why = (WAITS, decide_hint(entry.run)) if is_asked else ("working", "")
            case "run.end" if entry.run in self.tries and not self.tries[entry.run].ended:
                self._end(self.tries[entry.run], entry)
            case "note":
                self._note(entry)
            case _:
                pass

    def _ask(self, entry: Entry) -> None:
        """A run of a pipeline's asks before it begins a piece; no other run's wishes are read so by those who draw it."""
        name = notes.read_question(logged_wish(entry.detail.get("asks")))
        if name is not None:
            piece = self._piece(entry.run, name)
            piece.state, piece.why = ASKS, f"`maniple approve {entry.call}` or `maniple deny {entry.call}`"
            self._held[entry.call] = piece

    def _answered(self, piece: Piece, entry: Entry) -> None:
        if piece.state == ASKS:
            is_begun = entry.verdict == "done"
            piece.state, piece.why = ("working", "") if is_begun else (entry.verdict, entry.why)

    def _piece(self, run: str, name: PieceName) -> Piece:
        return self.pieces.setdefault(run, {}).setdefault(name, Piece(name=name, tries=[]))

    def _end(self, one: Try, entry: Entry) -> None:
        one.ended, one.outcome, one.why = time_micros(entry.time), entry.verdict, entry.why

    def _note(self, entry: Entry) -> None:
        noted = notes.read(entry.why)
        if noted is None or noted.run in self._begun:
            return
        if noted.run and self._spawned_by.get(noted.run) != entry.run:
            return
        piece = self._piece(entry.run, noted.name)
        match noted.how:
            case "begun":
                self._begun.add(noted.run)
                piece.tries.append(self.tries[noted.run])
                piece.state, piece.why = "working", ""
            case "items":
                piece.items = noted.number
            case "waits":
                piece.state, piece.why = "waiting", noted.why
            case how:
                piece.state, piece.why = how, noted.why

    def of(self, run: str) -> list[Piece]:
        """The pieces of a run as they are now, in the order in which they began."""
        is_over = run in self.tries and bool(self.tries[run].ended)
        pieces = [self._now(piece, is_over=is_over) for piece in self.pieces.get(run, {}).values()]
        return [self._over_all(piece, pieces) if piece.items >= 0 else piece for piece in pieces]

    def _over_all(self, piece: Piece, pieces: list[Piece]) -> Piece:
        """A step that goes over items: working while one of them is, else done or failed; done counts the items that are."""
        states = [
            one.state for one in pieces if one.name.step == piece.name.step and one.name.role in ("step", "stand-in")
        ]
        states.remove(piece.state)
        done = states.count("done")
        is_open = not {"working", "waiting", ASKS, WAITS}.isdisjoint(states)
        state = "done" if done >= piece.items else "failed" if "failed" in states and not is_open else "working"
        return Piece(name=piece.name, state=state, items=piece.items, done=done, tries=[])

    def _now(self, piece: Piece, *, is_over: bool) -> Piece:
        """A piece as its last try is, or its own wait. is_over: its pipeline has ended, so it waits for nothing any more."""
        tries = [one for first in piece.tries for one in self._in_turn(first)]
        is_waiting = piece.state == "waiting"
        if is_waiting and is_over and not tries:
            return Piece(name=piece.name, state="cancelled")
        if not tries or piece.state == ASKS or (is_waiting and not is_over and tries[-1].outcome != "working"):
            return piece
        last = tries[-1]
        return Piece(name=piece.name, state=last.outcome, why=last.why, items=piece.items, tries=tries)

    def _in_turn(self, one: Try) -> Iterator[Try]:
        """A run, and those that were begun instead of it when its Hand was upgraded, the newest last."""
        yield one
        while one.run in self._instead:
            one = self.tries[self._instead[one.run]]
            yield one

    def asking(self, run: str) -> Iterator[tuple[str, str]]:
        """The pieces of a run, and of those below it, that begin after the operator's yes, with what to type."""
        for piece in self.of(run):
            if piece.state == ASKS:
                yield str(piece.name), piece.why
            for one in piece.tries[-1:]:
                yield from self.asking(one.run)

    def under(self, run: str) -> Iterator[Try]:
        """A run, and every run that was made under it."""
        if run in self.tries:
            yield self.tries[run]
        for other in self._spawned.get(run, ()):
            yield from self.under(other)

    def cost(self, run: str) -> int:
        """Micro-dollars that a run and all under it have cost."""
        return sum(one.micro_dollars for one in self.under(run))
