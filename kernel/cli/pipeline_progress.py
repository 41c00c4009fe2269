"""Reconstructs the progress of pipeline runs from the log's entries (pure): pieces, their runs, and the pieces of those.

A run's notes say which run belongs to which piece (manifests/pipeline/notes.py). A note counts only if the run that wrote
it also spawned that run, as the `call` entry shows; a run belongs to the first piece that names it. Notes of a step's run
concern pieces of its own, never those of its pipeline. Entries can be added while the run goes on.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from kernel.cli.hints import decide_hint
from manifests.approvals import logged_wish
from manifests.pipeline import notes
from manifests.pipeline.notes import PieceName
from manifests.waiting import AWAITS_DECISION
from wire.entries import Entry, time_micros

NEEDLES: Final = (
    b'"kind":"note"', b'"kind":"run.', b'"kind":"decision"', b'"method":"run"', b'"method":"kernel.spawn"',
    b'"cost":{',
)  # fmt: skip
"""Texts, one of which each line of the log about a pipeline run, or a run's cost, contains."""

ASKS: Final = "asks you"
"""State of a piece that waits for the operator's approval."""


class Try(Struct, kw_only=True):
    """One run of a piece. Times are in microseconds, 0 while unknown. outcome: working, AWAITS_DECISION, done, failed…"""

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

    state: ASKS, working, waiting (for its next try), skipped, or the outcome of its last try.
    items: number of items it runs over, -1 if it is not such a step; done: how many of them are done.
    """

    name: PieceName
    state: str = "working"
    why: str = ""
    items: int = -1
    done: int = 0
    tries: list[Try] = []


class RunTree:
    """All runs and their pieces in the entries applied so far."""

    def __init__(self) -> None:
        self.tries: dict[str, Try] = {}
        self.pieces: dict[str, dict[PieceName, Piece]] = {}
        self._work: dict[int, str] = {}
        self._held: dict[int, Piece] = {}
        self._assigned: set[str] = set()
        self._spawned_by: dict[str, str] = {}
        self._spawned: dict[str, list[str]] = {}
        self._replaced_by: dict[str, str] = {}

    def apply(self, entry: Entry) -> None:
        """Apply one entry of the log."""
        if entry.cost is not None and entry.run in self.tries:
            self.tries[entry.run].micro_dollars += entry.cost.micro_dollars
        match entry.kind:
            case "run.start" if (
                entry.run not in self.tries and entry.call
            ):  # neither a new process of the same run, nor a replay
                name, version = str(entry.detail.get("name", "")), str(entry.detail.get("version", ""))
                one = Try(run=entry.run, hand=name, version=version, started=time_micros(entry.time))
                self.tries[entry.run] = one
                self._work[entry.call] = entry.run
                if "instead" in entry.detail:
                    self._replaced_by[str(entry.detail["instead"])] = entry.run
            case "call" if entry.verdict == "held":
                self._apply_held(entry)
            case "end" if entry.call in self._held:
                self._apply_answer(self._held.pop(entry.call), entry)
            case "call" if entry.call in self._work:
                self._spawned_by[self._work[entry.call]] = entry.principal
                self._spawned.setdefault(entry.principal, []).append(self._work[entry.call])
            case "end" if entry.call in self._work:
                self._end(self.tries[self._work[entry.call]], entry)
            case "decision" if entry.run in self.tries and not self.tries[entry.run].ended:
                one = self.tries[entry.run]
                is_asked = entry.verdict == "asked"
                one.outcome, one.why = (AWAITS_DECISION, decide_hint(entry.run)) if is_asked else ("working", "")
            case "run.end" if entry.run in self.tries and not self.tries[entry.run].ended:
                self._end(self.tries[entry.run], entry)
            case "note":
                self._apply_note(entry)
            case _:
                pass

    def _apply_held(self, entry: Entry) -> None:
        """Apply a held call by which a pipeline asks before it starts a piece. Pieces of other runs are never shown."""
        name = notes.read_question(logged_wish(entry.detail.get("asks")))
        if name is not None:
            piece = self._piece(entry.run, name)
            piece.state, piece.why = ASKS, f"`maniple approve {entry.call}` or `maniple deny {entry.call}`"
            self._held[entry.call] = piece

    def _apply_answer(self, piece: Piece, entry: Entry) -> None:
        if piece.state == ASKS:
            is_started = entry.verdict == "done"
            piece.state, piece.why = ("working", "") if is_started else (entry.verdict, entry.why)

    def _piece(self, run: str, name: PieceName) -> Piece:
        return self.pieces.setdefault(run, {}).setdefault(name, Piece(name=name, tries=[]))

    def _end(self, one: Try, entry: Entry) -> None:
        one.ended, one.outcome, one.why = time_micros(entry.time), entry.verdict, entry.why

    def _apply_note(self, entry: Entry) -> None:
        noted = notes.read(entry.why)
        if noted is None or noted.run in self._assigned:
            return
        if noted.run and self._spawned_by.get(noted.run) != entry.run:
            return
        piece = self._piece(entry.run, noted.name)
        match noted.how:
            case "begun":
                self._assigned.add(noted.run)
                piece.tries.append(self.tries[noted.run])
                piece.state, piece.why = "working", ""
            case "items":
                piece.items = noted.number
            case "waits":
                piece.state, piece.why = "waiting", noted.why
            case how:
                piece.state, piece.why = how, noted.why

    def pieces_of(self, run: str) -> list[Piece]:
        """The current pieces of a run, in the order in which they began."""
        is_over = run in self.tries and bool(self.tries[run].ended)
        pieces = [self._current(piece, is_over=is_over) for piece in self.pieces.get(run, {}).values()]
        return [self._summarise_items(piece, pieces) if piece.items >= 0 else piece for piece in pieces]

    def _summarise_items(self, piece: Piece, pieces: list[Piece]) -> Piece:
        """The piece of a step over items, with the state of its items: working while one is, else done or failed."""
        states = [
            one.state for one in pieces if one.name.step == piece.name.step and one.name.role in ("step", "stand-in")
        ]
        states.remove(piece.state)
        done = states.count("done")
        is_open = not {"working", "waiting", ASKS, AWAITS_DECISION}.isdisjoint(states)
        state = "done" if done >= piece.items else "failed" if "failed" in states and not is_open else "working"
        return Piece(name=piece.name, state=state, items=piece.items, done=done, tries=[])

    def _current(self, piece: Piece, *, is_over: bool) -> Piece:
        """A piece in the state of its last try, or waiting. is_over: its pipeline has ended, so nothing waits any more."""
        tries = [one for first in piece.tries for one in self._successors(first)]
        is_waiting = piece.state == "waiting"
        if is_waiting and is_over and not tries:
            return Piece(name=piece.name, state="cancelled")
        if not tries or piece.state == ASKS or (is_waiting and not is_over and tries[-1].outcome != "working"):
            return piece
        last = tries[-1]
        return Piece(name=piece.name, state=last.outcome, why=last.why, items=piece.items, tries=tries)

    def _successors(self, one: Try) -> Iterator[Try]:
        """Yield a run, and the runs that replaced it when its Hand was upgraded, newest last."""
        yield one
        while one.run in self._replaced_by:
            one = self.tries[self._replaced_by[one.run]]
            yield one

    def pending_approvals(self, run: str) -> Iterator[tuple[str, str]]:
        """Yield name and hint of each piece of a run, and of runs below it, that waits for the operator's approval."""
        for piece in self.pieces_of(run):
            if piece.state == ASKS:
                yield str(piece.name), piece.why
            for one in piece.tries[-1:]:
                yield from self.pending_approvals(one.run)

    def subtree(self, run: str) -> Iterator[Try]:
        """Yield a run and every run spawned under it."""
        if run in self.tries:
            yield self.tries[run]
        for other in self._spawned.get(run, ()):
            yield from self.subtree(other)

    def cost(self, run: str) -> int:
        """Cost of a run and all runs under it, in micro-dollars."""
        return sum(one.micro_dollars for one in self.subtree(run))
