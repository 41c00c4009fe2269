"""Turns the calls of one answer into calls to make, and their outcomes into results that the model reads (pure).

A call that cannot be made gets a result at once that says what is wrong; so do read_result and sealed skills, which
need no call. The others are made side by side; results stand in the order in which the model asked.
"""

from collections.abc import Mapping
from typing import Final

from manifests.suggestions import suggestion
from runtime.agent import pictures, skills, tools
from runtime.agent.actions import MakeCall, Outcome
from runtime.agent.digest import shorten
from runtime.agent.guard import MadeCall, comparable
from runtime.agent.marks import Marks
from runtime.agent.results import Kept, Shelf, as_text, end_of_shown, note_on_rest
from runtime.models.messages import Image, Text, Tool, ToolCall, ToolResult
from runtime.models.schemas import is_one_object, read

AT_ONCE: Final = 32
"""Calls of one answer that are made, at most; the model is told to ask for the others again."""

LEAST: Final = 1_000
MOST: Final = 40_000
"""Characters of a result that are shown at once, at least and at most; and no more tokens than that."""

_SHARE: Final = 3
"""All results of a turn take a third of the window."""

_NAMED: Final = 100
"""Characters of a tool's name, and of what was wrong with its call, that a line holds."""


class Turn:
    """The calls of one answer. result_ids: the id of each kept result, by the id of its call.

    calls: those to make. lines: what came of each, for people.
    """

    def __init__(
        self, asked: tuple[ToolCall, ...], offered: Mapping[str, tools.Offered], own: Mapping[str, Tool],
        known: Mapping[str, skills.Known], shelf: Shelf, marks: Marks, *, window: int, number: int,
    ) -> None:  # fmt: skip
        """own: the agent's own tools by name. known: skills by name. number: of the last call of earlier turns."""
        self._asked, self._offered, self._own, self._shelf, self._marks = asked, offered, own, shelf, marks
        self._known = known
        self._most = max(LEAST, min(MOST, window // _SHARE // max(1, min(len(asked), AT_ONCE))))
        self._open: dict[int, tuple[ToolCall, str]] = {}
        self._results: dict[str, ToolResult] = {}
        self._carried_out: set[str] = set()
        self.result_ids: dict[str, str] = {}
        self.calls: list[MakeCall] = []
        self.lines: list[str] = []
        for place, call in enumerate(asked):
            if place < AT_ONCE:
                self._take(call, number + place + 1)
            else:
                self._reject(call, f"at most {AT_ONCE} tools are called at once; ask for this one again")

    @property
    def is_open(self) -> bool:
        """Whether a result is missing."""
        return bool(self._open)

    @property
    def is_all_rejected(self) -> bool:
        """Whether no call of it could be carried out."""
        return not self._carried_out

    @property
    def made(self) -> list[MadeCall]:
        """The calls that were carried out, in their order, for the guard."""
        return [comparable(call, self._results[call.id]) for call in self._asked if call.id in self._carried_out]

    def awaits(self, number: int) -> bool:
        """Return whether the call with this number has no result yet."""
        return number in self._open

    def results(self) -> tuple[ToolResult, ...]:
        """Return the results that are there, in the order of the calls."""
        return tuple(self._results[call.id] for call in self._asked if call.id in self._results)

    def take_outcome(self, number: int, outcome: Outcome) -> str:
        """Make the outcome of a call its result; return the call's line for people."""
        call, source = self._open.pop(number)
        value, images = (outcome.value, ()) if outcome.code else pictures.take_out(outcome.value)
        text = f"{outcome.code}: {outcome.text}" if outcome.code else as_text(value)
        labels = () if source == tools.PERSON else outcome.labels
        is_outside = bool(labels) or bool(outcome.code and not outcome.trusted)
        kept = Kept(text=text or "(nothing)", source=source, labels=labels, is_outside=is_outside, pictures=images)
        name = self._shelf.keep(kept)
        self.result_ids[call.id] = name
        self._put(call, self._piece(name, kept, 0), failed=bool(outcome.code), shown=_shown_pictures(kept))
        self._carried_out.add(call.id)
        return source

    def _take(self, call: ToolCall, number: int) -> None:
        offered = self._offered.get(call.name)
        tool = offered.tool if offered else self._own.get(call.name)
        if tool is None:
            self._reject(call, tools.unknown_tool(call.name, [*self._offered, *self._own]))
            return
        arguments = call.arguments
        if call.malformed:
            found = read(call.malformed, tool.parameters)
            if found.problems or not isinstance(found.value, dict):
                problems = "; ".join(found.problems)
                self._reject(call, f"the arguments are not a JSON object that matches the tool's schema: {problems}")
                return
            if not is_one_object(call.malformed):  # what is missing may matter: `rm -r /data` for `rm -r /data/old`
                self._reject(call, "the arguments are not one whole JSON object; give all of them in a new call")
                return
            arguments = found.value
        if offered is None:
            self._take_own(call, arguments, number)
            return
        ready = tools.prepare(offered, arguments)
        if isinstance(ready, str):
            self._reject(call, ready)
            return
        self._make(
            call, MakeCall(number=number, method=ready.method, resource=ready.resource, arguments=ready.arguments)
        )

    def _take_own(self, call: ToolCall, given: dict[str, object], number: int) -> None:
        given = {name: value for name, value in given.items() if value is not None}
        if why := tools.find_problems({**tools.OWN_PARAMS, **skills.PARAMS}[call.name], given):
            self._reject(call, why)
        elif call.name == tools.READ:
            self._read_result(call, str(given["id"]), int(str(given.get("start", 0))), str(given.get("find", "")))
        elif call.name in skills.PARAMS:
            self._take_skill(call, str(given["name"]), str(given.get("file", "")), number)
        else:
            task, more = given.get("task"), given.get("inputs")
            inputs = {**(more if isinstance(more, dict) else {}), **({} if task is None else {"task": task})}
            arguments: dict[str, object] = {"inputs": inputs, "wait": True}
            hand = str(given["hand"])
            self._make(call, MakeCall(number=number, method=tools.SPAWN, resource=hand, arguments=arguments))

    def _take_skill(self, call: ToolCall, name: str, file: str, number: int) -> None:
        skill = self._known.get(name)
        if skill is None:
            self._reject(call, f"there is no skill {name[:200]!r}; {suggestion(name, self._known)}")
        elif call.name == skills.PLACE:
            self._make(call, MakeCall(number=number, method=skills.PLACE, resource=name, arguments={}))
        elif skill.method:
            given: dict[str, object] = {"file": file} if file else {}
            self._make(call, MakeCall(number=number, method=skill.method, resource="", arguments=given))
        else:
            text, why = skills.read_text(skill, file)
            if why:
                self._reject(call, why)
                return
            kept = Kept(text=text or "(nothing)", source=f"skill {name}")
            self.result_ids[call.id] = self._shelf.keep(kept)
            self.lines.append(f"{skills.READ} {name} {file}".rstrip())
            self._put(call, self._piece(self.result_ids[call.id], kept, 0), failed=False)
            self._carried_out.add(call.id)

    def _make(self, call: ToolCall, make: MakeCall) -> None:
        source = f"{make.method} {make.resource}".strip()
        self._open[make.number] = call, source
        self.calls.append(make)
        self.lines.append(source)

    def _read_result(self, call: ToolCall, name: str, start: int, find: str) -> None:
        kept = self._shelf.find(name)
        if kept is None:
            self._reject(call, f"there is no result {name!r}, or it is no longer kept")
            return
        start = max(0, start)
        at = kept.text.find(find, start) if find else start
        if at < 0 or at >= len(kept.text):
            size = f"{len(kept.text):,} characters"
            why = f"{find!r} does not occur from character {start:,} on" if find else f"the result has only {size}"
            self._reject(call, why)
            return
        self.result_ids[call.id] = name
        self.lines.append(f"{tools.READ} {name}")
        self._put(call, self._piece(name, kept, at), failed=False, shown=() if at else _shown_pictures(kept))
        self._carried_out.add(call.id)

    def _piece(self, name: str, kept: Kept, start: int) -> str:
        """Return a result from `start` on, as much as is shown at once, and the note on the rest."""
        end = end_of_shown(kept.text, start, self._most)
        piece = kept.text[start:end]
        shown = self._marks.mark(piece, kept.source, kept.labels) if kept.is_outside else self._marks.clean(piece)
        return "\n".join(filter(None, (shown, note_on_rest(name, kept.text, start, end))))

    def _reject(self, call: ToolCall, why: str) -> None:
        self.lines.append(f"{shorten(call.name, _NAMED)} was not called: {shorten(why, _NAMED)}")
        self._put(call, self._marks.clean(why), failed=True)

    def _put(self, call: ToolCall, text: str, *, failed: bool, shown: tuple[Text | Image, ...] = ()) -> None:
        self._results[call.id] = ToolResult(id=call.id, content=(Text(text=text), *shown), failed=failed)


def _shown_pictures(kept: Kept) -> tuple[Text | Image, ...]:
    """Return the pictures of a result, after a line that marks them as a whole: nothing within them can be marked."""
    if kept.is_outside and kept.pictures:
        return (Text(text=pictures.OUTSIDE), *kept.pictures)
    return kept.pictures
