"""Drives a pipeline's machine through a course of events, and keeps what it did, for tests to look at."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from manifests.pipeline.check import check
from manifests.pipeline.schema import Pipeline
from runtime.pipeline.actions import Action, Begin, End, Note, Result, Sleep, TakeBack
from runtime.pipeline.kept import KEPT_MOST
from runtime.pipeline.machine import Machine

HEAD = """
[pipeline]
name = "made"
version = "1.0.0"
description = "Made for a test."
"""

DONE = End(value={"ok": True})


def pipeline(text: str) -> Pipeline:
    """A pipeline from the rest of its file."""
    return check(f"{HEAD}{text}", file="made.pipeline.toml")


class Told(Struct, frozen=True):
    """One event of a drive: a run that began, or how it ended. running: how many pieces were under way then."""

    what: str
    name: str
    role: str
    end: End | None = None
    running: int = 0


class Drive:
    """One machine, driven to its result. choose: which of the open actions comes next; answer: how a run ends.

    A run about which the operator is asked has begun unless it ended as `denied`; says_yes: whether one that is taken back
    had his yes just before. most: what the machine may keep.
    """

    def __init__(
        self,
        made: Pipeline,
        inputs: dict[str, object] | None = None,
        *,
        answer: Callable[[Begin], End] = lambda _: DONE,
        choose: Callable[[Sequence[Action]], int] = lambda _: 0,
        says_yes: Callable[[], bool] = lambda: False,
        most: int = KEPT_MOST,
    ) -> None:
        self.machine = Machine(made, inputs or {}, most)
        self.events: list[Told] = []
        self.begun: list[Begin] = []
        self.slept: list[int] = []
        self.notes: list[str] = []
        self.actions: list[Action] = []
        self._open: list[Begin | Sleep] = []
        self._under_way: set[int] = set()
        self._taken_back: set[int] = set()
        self._take(self.machine.begin())
        while self.machine.result is None:
            assert self._open, "nothing is open, and there is no result"
            chosen = self._open.pop(choose(self._open))
            if isinstance(chosen, Sleep):
                self._take(self.machine.on_time(chosen.piece))
                continue
            end = answer(chosen)
            if chosen.asks and chosen.piece in self._taken_back and not says_yes():
                end = End(code="cancelled", text="taken back")
            elif end.code != "denied":
                self.machine.on_start(chosen.piece)
            self._under_way.discard(chosen.piece)
            self.events.append(Told("ended", str(chosen.name), chosen.name.role, end))
            self._take(self.machine.on_end(chosen.piece, end))
        assert not [one for one in self._open if isinstance(one, Begin)], "a run was left behind"

    @property
    def result(self) -> Result:
        """Its one end."""
        assert self.machine.result is not None
        return self.machine.result

    @property
    def names(self) -> list[str]:
        """The pieces that began, in order, each try of them."""
        return [str(one.name) for one in self.begun]

    def _take(self, actions: list[Action]) -> None:
        self.actions += actions
        for action in actions:
            match action:
                case Begin():
                    self._under_way.add(action.piece)
                    self._open.append(action)
                    self.begun.append(action)
                    told = Told("begun", str(action.name), action.name.role, running=len(self._under_way))
                    self.events.append(told)
                case Sleep():
                    self._under_way.add(action.piece)
                    self._open.append(action)
                    self.slept.append(action.milliseconds)
                case TakeBack():
                    self._taken_back.add(action.piece)
                case Note():
                    self.notes.append(action.text)
