"""What a pipeline does next (pure): events in, actions out; it knows no clock, no kernel and no chance.

    machine = Machine(pipeline, inputs)
    actions = machine.begin()
    while machine.result is None:
        … act on the actions; when one of them has an outcome: actions = machine.ended(piece, end) or machine.woke(piece)
    … when a run has begun: machine.begun(piece)

The same events in the same order give the same actions, so a run that is resumed comes to where it was. It goes through
the steps; when one failed for good, nothing more begins, not even what waits for the operator's yes or for room, what runs
is let end, and what was done is undone, the latest first; then [finally] comes, and the one result. At most `parallel`
pieces are under way at once, those that wait for their next try, or to be answered, among them.
"""

from typing import Final

from manifests.pipeline import notes
from manifests.pipeline.notes import PieceName
from manifests.pipeline.schema import SKIP, STOP, Pipeline, Step, Work
from runtime.pipeline.actions import Action, Begin, End, Note, Result, Sleep, TakeBack
from runtime.pipeline.evaluate import ITEMS_MOST, Unclear, filled, text_of
from runtime.pipeline.kept import KEPT_MOST, Kept, names_output
from wire.codec import encode_body
from wire.errors import CodecError

BACKOFF_MOST_MS: Final = 3_600_000
"""The longest wait before a next try."""

HOPELESS: Final = frozenset(
    {"arguments", "cancelled", "capability", "chain", "denied", "expired", "expression"}
    | {"readonly", "seal", "unknown hand"}
)
"""Codes of failures that trying again does not mend; tried again only where `on` names them."""


class _Piece:
    """One run to be made, and made again. own: names that only its expressions have.

    asks: as in Begin, until it has begun once: its further tries are the same. is_to_begin: its run has not.
    """

    __slots__ = ("asks", "given", "is_to_begin", "is_waiting", "name", "number", "own", "tries", "work")

    def __init__(self, number: int, name: PieceName, work: Work, own: dict[str, object]) -> None:
        self.number, self.name, self.work, self.own = number, name, work, own
        self.given: dict[str, object] = {}
        self.asks = ""
        self.tries = 0
        self.is_waiting = self.is_to_begin = False


class _Course:
    """How far a step is. items: what it goes over, [None] without for_each; state: waiting, open, over."""

    __slots__ = ("items", "left", "next", "outputs", "state", "step", "under_way")

    def __init__(self, step: Step) -> None:
        self.step = step
        self.state = "waiting"
        self.items: list[object] = []
        self.outputs: list[object] = []
        self.next = self.under_way = self.left = 0


class Machine:
    """One run of a pipeline, from its inputs to its result. most: what the outputs of its steps may weigh, see kept.py."""

    def __init__(self, pipeline: Pipeline, inputs: dict[str, object], most: int = KEPT_MOST) -> None:
        self._pipeline = pipeline
        self._kept = Kept(pipeline, most)
        self._values: dict[str, object] = {"inputs": {**dict.fromkeys(pipeline.inputs), **inputs}, "steps": {}}
        self._outputs: dict[str, object] = {}
        self._courses = {name: _Course(step) for name, step in pipeline.steps.items() if not step.stands_in}
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

    # what is told to it ----------------------------------------------------------------------------------------------

    def begin(self) -> list[Action]:
        """The first actions."""
        return self._on()

    def begun(self, piece: int) -> None:
        """A run has begun, so that whoever was to be asked about it has said yes."""
        one = self._pieces[piece]
        one.asks, one.is_to_begin = "", False

    def ended(self, piece: int, end: End) -> list[Action]:
        """A run has ended, or could not begin."""
        one = self._pieces[piece]
        one.is_to_begin = False
        wait = _retry_delay(one.work, one.tries, end.code) if end.code and not self._is_stopping(one) else None
        if wait is None:
            del self._pieces[piece]
            self._over(one, end)
        else:
            one.is_waiting = True
            self._note(one.name, "waits", f"{wait / 1000:g}s to try {one.tries + 1}: {end.code}: {end.text}")
            self._actions.append(Sleep(piece=piece, milliseconds=wait))
            one.own["failed"] = end
        return self._on()

    def woke(self, piece: int) -> list[Action]:
        """The time before a next try is over. A piece that was given up meanwhile is passed over."""
        one = self._pieces.get(piece)
        if one is not None:
            one.is_waiting = False
            self._try(one)
        return self._on()

    @property
    def progress(self) -> tuple[int, int]:
        """Steps that are over, of all; [finally] among them."""
        over = sum(course.state == "over" for course in self._courses.values())
        last = len(self._pipeline.last)
        return over + last - len(self._last) - (self._phase == "finally" and bool(self._pieces)), len(
            self._courses
        ) + last

    # the phases ------------------------------------------------------------------------------------------------------

    def _on(self) -> list[Action]:
        """Go on as far as one can without an event."""
        while self.result is None and self._step_on():
            pass
        actions, self._actions = self._actions, []
        return actions

    def _step_on(self) -> bool:
        """Do one thing; False when there is nothing to do but wait."""
        match self._phase:
            case "steps":
                return self._go_through_steps()
            case "undo":
                return not self._pieces and self._undo_one()
            case _:
                return not self._pieces and self._last_one()

    def _go_through_steps(self) -> bool:
        if self._failure is not None:
            for piece in [one for one in self._pieces.values() if one.is_waiting]:
                del self._pieces[piece.number]
                failed = piece.own["failed"]
                assert isinstance(failed, End)
                self._over(piece, failed)
            for piece in [one for one in self._pieces.values() if one.is_to_begin]:
                piece.is_to_begin = False
                self._actions.append(TakeBack(piece=piece.number))
            if not self._pieces:
                self._phase = "undo"
            return not self._pieces
        for course in self._courses.values():
            if self._open(course):
                return True
        if all(course.state == "over" for course in self._courses.values()):
            self._phase = "finally"
            try:
                self._returned = filled(self._pipeline.outputs, self._values)
                encode_body(self._returned)
            except (Unclear, CodecError) as error:
                self._phase = "undo"
                self._fail("outputs", "expression" if isinstance(error, Unclear) else "too large", str(error))
            return True
        return False

    def _open(self, course: _Course) -> bool:
        """Begin a step, or its next item, if it is its turn; whether anything changed."""
        step = course.step
        if course.state == "over" or len(self._pieces) >= self._pipeline.parallel:
            return False
        if course.state == "waiting":
            is_its_turn = all(self._courses[name].state == "over" for name in step.needs)
            if is_its_turn:
                self._begin_step(course)
            return is_its_turn
        if course.next >= len(course.items) or course.under_way >= step.parallel:
            return False
        index = course.next
        course.next += 1
        course.under_way += 1
        is_many = step.for_each is not None
        own: dict[str, object] = {"item": course.items[index], "index": index} if is_many else {}
        self._make(PieceName(step.name, index if is_many else -1), step.work, own)
        return True

    def _begin_step(self, course: _Course) -> None:
        step = course.step
        try:
            if step.when and not _is_true(filled(step.when, self._values)):
                self._close(course, None)
                self._note(PieceName(step.name), "skipped", "as its when says")
                return
            items = [None] if step.for_each is None else filled(step.for_each, self._values)
            if not isinstance(items, list) or len(items) > ITEMS_MOST:
                raise Unclear(f"for_each gave no list of at most {ITEMS_MOST} items")
        except Unclear as error:
            course.left = course.under_way = 1
            course.items = course.outputs = [None]
            course.state, course.next = "open", 1
            self._over(_Piece(0, PieceName(step.name), step.work, {}), End(code="expression", text=str(error)))
            return
        course.items, course.outputs, course.left = items, [None] * len(items), len(items)
        course.state = "open"
        if step.for_each is not None:
            self._actions.append(Note(text=notes.items_note(PieceName(step.name), len(items))))
            if not items:
                self._close(course, [])

    def _close(self, course: _Course, output: object) -> None:
        course.state = "over"
        self._outputs[course.step.name] = output

    # pieces ----------------------------------------------------------------------------------------------------------

    def _make(self, name: PieceName, work: Work, own: dict[str, object]) -> None:
        self._numbers += 1
        piece = _Piece(self._numbers, name, work, own)
        try:
            given = filled(work.given, {**self._values, **own})
            why = text_of(filled(work.approval, {**self._values, **own}))
        except Unclear as error:
            self._over(piece, End(code="expression", text=str(error)))
            return
        assert isinstance(given, dict)
        piece.given = given
        piece.asks = (why if why.strip() else notes.UNSAID) if work.approval else ""  # an empty reason is no yes
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

    def _over(self, piece: _Piece, end: End) -> None:
        """A piece has had its last try."""
        if end.code and not piece.tries:
            self._note(piece.name, "failed", f"{end.code}: {end.text}")
        match piece.name.role:
            case "undo":
                self._undo_over(piece, end)
            case "finally":
                self._last_over(piece, end)
            case _:
                self._piece_over(piece, end)

    def _piece_over(self, piece: _Piece, end: End) -> None:
        name, course = piece.name, self._courses[piece.name.step]
        step = course.step
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
        self._item_over(course, name.index, None)

    def _keep(self, piece: _Piece, undo: Work | None, output: object) -> None:
        """A piece was done: keep what it gave as far as anybody will ask for it."""
        is_to_undo = undo is not None and names_output(undo.given)
        is_named = self._kept.is_named(piece.name.step)
        has_room = not (is_named or is_to_undo) or self._kept.has_room(output)
        if undo is not None:
            own = {**_items_of(piece.own), "output": output if is_to_undo else None}
            self._done.append((piece.name, undo, own))
        if not has_room:
            why = f"what the steps gave is more than the pipeline keeps, some {self._kept.most >> 20} MiB"
            self._fail(str(piece.name), "too large", why)
        self._item_over(self._courses[piece.name.step], piece.name.index, output if is_named and has_room else None)

    def _item_over(self, course: _Course, index: int, output: object) -> None:
        """index: -1 for the whole step, which has no items, or of which it cannot be worked out what they are."""
        course.under_way -= 1
        course.left -= 1
        course.outputs[max(index, 0)] = output
        if not course.left:
            self._close(course, output if index < 0 else course.outputs)

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

    def _undo_over(self, piece: _Piece, end: End) -> None:
        of = str(PieceName(piece.name.step, piece.name.index, "step", piece.name.other))
        (self._left if end.code else self._undone).append(of)

    def _last_one(self) -> bool:
        if not self._last:
            failure = self._failure
            self.result = Result(
                value=None if failure else self._returned, code=failure.code if failure else "",
                text=failure.text if failure else "", step=failure.step if failure else "",
                undone=tuple(self._undone), left=tuple(self._left),
            )  # fmt: skip
            return False
        step, name = self._last.pop(0), PieceName(self._pipeline_last_name(), -1, "finally")
        failure = self._failure
        own: dict[str, object] = {
            "outcome": "failed" if failure else "done",
            "failure": {"step": failure.step, "code": failure.code, "text": failure.text} if failure else None,
        }
        try:
            if step.when and not _is_true(filled(step.when, {**self._values, **own})):
                self._note(name, "skipped", "as its when says")
                return True
        except Unclear as error:
            self._over(_Piece(0, name, step.work, own), End(code="expression", text=str(error)))
            return True
        self._make(name, step.work, own)
        return True

    def _pipeline_last_name(self) -> str:
        """The name of the step of [finally] that was just taken."""
        names = list(self._pipeline.last)
        return names[len(names) - len(self._last) - 1]

    def _last_over(self, piece: _Piece, end: End) -> None:
        if end.code and self._pipeline.last[piece.name.step].on_failure != SKIP:
            self._fail(str(piece.name), end.code, end.text)


def _retry_delay(work: Work, tries: int, code: str) -> int | None:
    """Milliseconds until the next try after so many; None when there is none."""
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
