"""Decides what a pipeline does next (pure): events in, actions out; no clock, no kernel, no randomness.

    machine = Machine(pipeline, inputs)
    actions = machine.begin()
    while machine.result is None:
        … carry out the actions; when one has an outcome: actions = machine.on_end(piece, end) or machine.on_time(piece)
    … when a run has begun: machine.on_start(piece)

The same events in the same order give the same actions, so a resumed run reaches the same point. It goes through the steps;
once one has failed for good, nothing more begins, not even runs that wait for the operator's yes or for room; running ones
may end, and finished ones are undone, the latest first; then [finally] runs, and there is one result. At most `parallel`
pieces are in progress at once, including those that wait for their next try or for a yes.
"""

from typing import Final

from manifests.pipeline import notes
from manifests.pipeline.notes import PieceName
from manifests.pipeline.schema import SKIP, STOP, Pipeline, Step, Work
from runtime.pipeline.actions import Action, Begin, End, Note, Result, Sleep, TakeBack
from runtime.pipeline.evaluate import ITEMS_MOST, Unclear, fill, text_of
from runtime.pipeline.kept import KEPT_MOST, Kept, names_output
from wire.codec import encode_body
from wire.errors import CodecError

BACKOFF_MOST_MS: Final = 3_600_000
"""The longest wait before a next try."""

HOPELESS: Final = frozenset(
    {"arguments", "cancelled", "capability", "chain", "denied", "expired", "expression"}
    | {"readonly", "seal", "unknown hand"}
)
"""Codes of failures that a new try does not solve; retried only if `on` names them."""


class _Piece:
    """One run to be made, and retried. own: names that only its expressions have.

    asks: as in Begin, until it has begun once, since later tries are the same. is_to_begin: whether its run has not begun.
    """

    __slots__ = ("asks", "given", "is_to_begin", "is_waiting", "name", "number", "own", "tries", "work")

    def __init__(self, number: int, name: PieceName, work: Work, own: dict[str, object]) -> None:
        self.number, self.name, self.work, self.own = number, name, work, own
        self.given: dict[str, object] = {}
        self.asks = ""
        self.tries = 0
        self.is_waiting = self.is_to_begin = False


class _Progress:
    """The progress of a step. items: of for_each, [None] without it. state: waiting, open or over."""

    __slots__ = ("items", "left", "next", "outputs", "state", "step", "under_way")

    def __init__(self, step: Step) -> None:
        self.step = step
        self.state = "waiting"
        self.items: list[object] = []
        self.outputs: list[object] = []
        self.next = self.under_way = self.left = 0


class Machine:
    """One run of a pipeline, from its inputs to its result. most: bytes that the steps' outputs may weigh, see kept.py."""

    def __init__(self, pipeline: Pipeline, inputs: dict[str, object], most: int = KEPT_MOST) -> None:
        self._pipeline = pipeline
        self._kept = Kept(pipeline, most)
        self._values: dict[str, object] = {"inputs": {**dict.fromkeys(pipeline.inputs), **inputs}, "steps": {}}
        self._outputs: dict[str, object] = {}
        self._steps = {name: _Progress(step) for name, step in pipeline.steps.items() if not step.stands_in}
        self._pieces: dict[int, _Piece] = {}
        self._numbers = 0
        self._done: list[tuple[PieceName, Work, dict[str, object]]] = []
        self._undone: list[str] = []
        self._left: list[str] = []
        self._last = list(pipeline.last.values())
        self._phase = "steps"
        self._failure: Result | None = None
        self._returned: object = None
        self._actions: list[Action] = []
        self.result: Result | None = None
        self._values["steps"] = self._outputs

    # events ----------------------------------------------------------------------------------------------------------

    def begin(self) -> list[Action]:
        """Returns the first actions."""
        return self._proceed()

    def on_start(self, piece: int) -> None:
        """Notes that a run has begun, and so that the operator has said yes, if he was asked."""
        one = self._pieces[piece]
        one.asks, one.is_to_begin = "", False

    def on_end(self, piece: int, end: End) -> list[Action]:
        """Takes the end of a run, or of a run that could not begin."""
        one = self._pieces[piece]
        one.is_to_begin = False
        wait = _retry_delay(one.work, one.tries, end.code) if end.code and not self._is_stopping(one) else None
        if wait is None:
            del self._pieces[piece]
            self._finish(one, end)
        else:
            one.is_waiting = True
            self._note(one.name, "waits", f"{wait / 1000:g}s to try {one.tries + 1}: {end.code}: {end.text}")
            self._actions.append(Sleep(piece=piece, milliseconds=wait))
            one.own["failed"] = end
        return self._proceed()

    def on_time(self, piece: int) -> list[Action]:
        """Retries a piece whose waiting time is over; ignores one that was given up meanwhile."""
        one = self._pieces.get(piece)
        if one is not None:
            one.is_waiting = False
            self._try(one)
        return self._proceed()

    @property
    def progress(self) -> tuple[int, int]:
        """(steps that are over, all steps), both with those of [finally]."""
        over = sum(progress.state == "over" for progress in self._steps.values())
        last = len(self._pipeline.last)
        return over + last - len(self._last) - (self._phase == "finally" and bool(self._pieces)), len(
            self._steps
        ) + last

    # the phases ------------------------------------------------------------------------------------------------------

    def _proceed(self) -> list[Action]:
        """Goes on as far as possible without an event. Returns the actions."""
        while self.result is None and self._advance():
            pass
        actions, self._actions = self._actions, []
        return actions

    def _advance(self) -> bool:
        """Does one thing. Returns whether there may be more to do without an event."""
        match self._phase:
            case "steps":
                return self._go_through_steps()
            case "undo":
                return not self._pieces and self._undo_one()
            case _:
                return not self._pieces and self._finally_one()

    def _go_through_steps(self) -> bool:
        if self._failure is not None:
            for piece in [one for one in self._pieces.values() if one.is_waiting]:
                del self._pieces[piece.number]
                failed = piece.own["failed"]
                assert isinstance(failed, End)
                self._finish(piece, failed)
            for piece in [one for one in self._pieces.values() if one.is_to_begin]:
                piece.is_to_begin = False
                self._actions.append(TakeBack(piece=piece.number))
            if not self._pieces:
                self._phase = "undo"
            return not self._pieces
        for progress in self._steps.values():
            if self._open(progress):
                return True
        if all(progress.state == "over" for progress in self._steps.values()):
            self._phase = "finally"
            try:
                self._returned = fill(self._pipeline.outputs, self._values)
                encode_body(self._returned)
            except (Unclear, CodecError) as error:
                self._phase = "undo"
                self._fail("outputs", "expression" if isinstance(error, Unclear) else "too large", str(error))
            return True
        return False

    def _open(self, progress: _Progress) -> bool:
        """Begins a step, or its next item, if it is its turn. Returns whether anything changed."""
        step = progress.step
        if progress.state == "over" or len(self._pieces) >= self._pipeline.parallel:
            return False
        if progress.state == "waiting":
            is_its_turn = all(self._steps[name].state == "over" for name in step.needs)
            if is_its_turn:
                self._begin_step(progress)
            return is_its_turn
        if progress.next >= len(progress.items) or progress.under_way >= step.parallel:
            return False
        index = progress.next
        progress.next += 1
        progress.under_way += 1
        is_many = step.for_each is not None
        own: dict[str, object] = {"item": progress.items[index], "index": index} if is_many else {}
        self._make(PieceName(step.name, index if is_many else -1), step.work, own)
        return True

    def _begin_step(self, progress: _Progress) -> None:
        step = progress.step
        try:
            if step.when and not _is_true(fill(step.when, self._values)):
                self._close(progress, None)
                self._note(PieceName(step.name), "skipped", "as its when says")
                return
            items = [None] if step.for_each is None else fill(step.for_each, self._values)
            if not isinstance(items, list) or len(items) > ITEMS_MOST:
                raise Unclear(f"for_each gave no list of at most {ITEMS_MOST} items")
        except Unclear as error:
            progress.left = progress.under_way = 1
            progress.items = progress.outputs = [None]
            progress.state, progress.next = "open", 1
            self._finish(_Piece(0, PieceName(step.name), step.work, {}), End(code="expression", text=str(error)))
            return
        progress.items, progress.outputs, progress.left = items, [None] * len(items), len(items)
        progress.state = "open"
        if step.for_each is not None:
            self._actions.append(Note(text=notes.items_note(PieceName(step.name), len(items))))
            if not items:
                self._close(progress, [])

    def _close(self, progress: _Progress, output: object) -> None:
        progress.state = "over"
        self._outputs[progress.step.name] = output

    # pieces ----------------------------------------------------------------------------------------------------------

    def _make(self, name: PieceName, work: Work, own: dict[str, object]) -> None:
        self._numbers += 1
        piece = _Piece(self._numbers, name, work, own)
        try:
            given = fill(work.given, {**self._values, **own})
            why = text_of(fill(work.approval, {**self._values, **own}))
        except Unclear as error:
            self._finish(piece, End(code="expression", text=str(error)))
            return
        assert isinstance(given, dict)
        piece.given = given
        piece.asks = (
            (why if why.strip() else notes.UNSAID) if work.approval else ""
        )  # an empty reason must not skip the question
        self._pieces[piece.number] = piece
        self._try(piece)

    def _try(self, piece: _Piece) -> None:
        piece.tries += 1
        piece.is_to_begin = True
        begin = Begin(
            piece=piece.number, name=piece.name, hand=piece.work.hand, given=piece.given,
            timeout_ms=piece.work.timeout_ms, tries=piece.tries, asks=piece.asks,
        )  # fmt: skip
        self._actions.append(begin)

    def _is_stopping(self, piece: _Piece) -> bool:
        return self._failure is not None and piece.name.role in ("step", "stand-in")

    def _finish(self, piece: _Piece, end: End) -> None:
        """Takes the end of a piece's last try."""
        if end.code and not piece.tries:
            self._note(piece.name, "failed", f"{end.code}: {end.text}")
        match piece.name.role:
            case "undo":
                self._finish_undo(piece, end)
            case "finally":
                self._finish_last(piece, end)
            case _:
                self._finish_step(piece, end)

    def _finish_step(self, piece: _Piece, end: End) -> None:
        name, progress = piece.name, self._steps[piece.name.step]
        step = progress.step
        ran = self._pipeline.steps[name.other] if name.other else step
        if not end.code:
            self._keep(piece, ran.undo, end.value)
            return
        stand_in = step.on_failure if step.on_failure not in (STOP, SKIP) else ""
        if stand_in and not name.other and self._failure is None:
            other = self._pipeline.steps[stand_in]
            own = {**_items_of(piece.own), "failure": _end_as_value(name, end)}
            self._make(PieceName(name.step, name.index, "stand-in", stand_in), other.work, own)
            return
        if step.on_failure != SKIP:
            self._fail(str(name), end.code, end.text)
        self._finish_item(progress, name.index, None)

    def _keep(self, piece: _Piece, undo: Work | None, output: object) -> None:
        """Takes the output of a piece that was done, and keeps it if an expression names it."""
        is_to_undo = undo is not None and names_output(undo.given)
        is_named = self._kept.is_named(piece.name.step)
        has_room = not (is_named or is_to_undo) or self._kept.has_room(output)
        if undo is not None:
            own = {**_items_of(piece.own), "output": output if is_to_undo else None}
            self._done.append((piece.name, undo, own))
        if not has_room:
            why = f"the outputs of the steps are larger than the {self._kept.most >> 20} MiB that the pipeline keeps"
            self._fail(str(piece.name), "too large", why)
        self._finish_item(self._steps[piece.name.step], piece.name.index, output if is_named and has_room else None)

    def _finish_item(self, progress: _Progress, index: int, output: object) -> None:
        """Takes the output of an item. index: -1 for the whole step, without items, or whose for_each cannot be evaluated."""
        progress.under_way -= 1
        progress.left -= 1
        progress.outputs[max(index, 0)] = output
        if not progress.left:
            self._close(progress, output if index < 0 else progress.outputs)

    def _fail(self, step: str, code: str, text: str) -> None:
        if self._failure is None:
            self._failure = Result(code=code, text=text, step=step)

    def _note(self, name: PieceName, how: str, why: str) -> None:
        self._actions.append(Note(text=notes.note_text(name, how, why)))

    # undo, finally, the end ------------------------------------------------------------------------------------------

    def _undo_one(self) -> bool:
        if not self._done:
            self._phase = "finally"
            return True
        name, work, own = self._done.pop()
        self._make(PieceName(name.step, name.index, "undo", name.other), work, own)
        return True

    def _finish_undo(self, piece: _Piece, end: End) -> None:
        of = str(PieceName(piece.name.step, piece.name.index, "step", piece.name.other))
        (self._left if end.code else self._undone).append(of)

    def _finally_one(self) -> bool:
        if not self._last:
            failure = self._failure
            self.result = Result(
                value=None if failure else self._returned, code=failure.code if failure else "",
                text=failure.text if failure else "", step=failure.step if failure else "",
                undone=tuple(self._undone), left=tuple(self._left),
            )  # fmt: skip
            return False
        step, name = self._last.pop(0), PieceName(self._last_name(), -1, "finally")
        failure = self._failure
        own: dict[str, object] = {
            "outcome": "failed" if failure else "done",
            "failure": {"step": failure.step, "code": failure.code, "text": failure.text} if failure else None,
        }
        try:
            if step.when and not _is_true(fill(step.when, {**self._values, **own})):
                self._note(name, "skipped", "as its when says")
                return True
        except Unclear as error:
            self._finish(_Piece(0, name, step.work, own), End(code="expression", text=str(error)))
            return True
        self._make(name, step.work, own)
        return True

    def _last_name(self) -> str:
        """The name of the step of [finally] that was taken last."""
        names = list(self._pipeline.last)
        return names[len(names) - len(self._last) - 1]

    def _finish_last(self, piece: _Piece, end: End) -> None:
        if end.code and self._pipeline.last[piece.name.step].on_failure != SKIP:
            self._fail(str(piece.name), end.code, end.text)


def _retry_delay(work: Work, tries: int, code: str) -> int | None:
    """Milliseconds until the next try, after `tries` tries; None if there is none."""
    retry = work.retry
    if retry is None or tries > retry.times or (code not in retry.on if retry.on else code in HOPELESS):
        return None
    doubled: int = retry.backoff_ms << min(tries - 1, 40)
    return min(doubled, max(retry.backoff_ms, BACKOFF_MOST_MS))


def _is_true(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unclear("its when is neither true nor false")
    return value


def _items_of(own: dict[str, object]) -> dict[str, object]:
    return {name: own[name] for name in ("item", "index") if name in own}


def _end_as_value(name: PieceName, end: End) -> dict[str, object]:
    return {"step": str(name), "code": end.code, "text": end.text}
