"""The calls of one answer, from what the model wrote to results that it can read (pure).

A call that cannot be made has its result at once, which says what is wrong; so has read_result, which the machine answers
itself. The others are made side by side, and their results stand in the order in which they were asked for.
"""

from collections.abc import Mapping
from typing import Final

from manifests.suggestions import suggestion
from runtime.agent import pictures, skills, tools
from runtime.agent.actions import Make, Returned
from runtime.agent.guard import Made, made
from runtime.agent.marks import Marks
from runtime.agent.results import Kept, Shelf, as_text, cut, rest
from runtime.models.messages import Image, Text, Tool, ToolCall, ToolResult
from runtime.models.schemas import read

AT_ONCE: Final = 32
"""Calls of one answer that are made; the others are told to be too many."""

LEAST: Final = 1_000
MOST: Final = 40_000
_SHARE: Final = 3
"""Characters of a result that are shown at least and at most; and what of the window all of a turn's results take, counting
a character as a token, which is more than any text has.
"""


class Turn:
    """One answer's calls. kept: the id of each result, by that of its call. shown: the calls that are made, for people."""

    def __init__(
        self, calls: tuple[ToolCall, ...], offered: Mapping[str, tools.Offered], own: Mapping[str, Tool],
        known: Mapping[str, skills.Known], shelf: Shelf, marks: Marks, *, window: int, number: int,
    ) -> None:  # fmt: skip
        """own: the machine's own tools. known: skills by name. number: of calls before these."""
        self._calls, self._offered, self._own, self._shelf, self._marks = calls, offered, own, shelf, marks
        self._known = known
        self._most = max(LEAST, min(MOST, window // _SHARE // max(1, min(len(calls), AT_ONCE))))
        self._open: dict[int, tuple[ToolCall, str]] = {}
        self._results: dict[str, ToolResult] = {}
        self._counted: set[str] = set()
        self.kept: dict[str, str] = {}
        self.makes: list[Make] = []
        self.shown: list[str] = []
        for place, call in enumerate(calls):
            if place < AT_ONCE:
                self._take(call, number + place + 1)
            else:
                self._wrong(call, f"at most {AT_ONCE} tools are called at once: ask for it again")

    @property
    def is_open(self) -> bool:
        """Whether a result is missing."""
        return bool(self._open)

    @property
    def is_all_wrong(self) -> bool:
        """Whether nothing of it could be made."""
        return not self._counted

    @property
    def made(self) -> list[Made]:
        """What was made, in its order."""
        return [made(call, self._results[call.id]) for call in self._calls if call.id in self._counted]

    def awaits(self, number: int) -> bool:
        """Whether a call is waited for."""
        return number in self._open

    def results(self) -> tuple[ToolResult, ...]:
        """All of them, in the order of the calls."""
        return tuple(self._results[call.id] for call in self._calls)

    def returned(self, number: int, came: Returned) -> str:
        """Take the end of a call; the call, for people."""
        call, source = self._open.pop(number)
        value, images = (came.value, ()) if came.code else pictures.parted(came.value)
        text = f"{came.code}: {came.text}" if came.code else as_text(value)
        is_outside = bool(came.labels) or bool(came.code and not came.ours)
        kept = Kept(text=text or "(nothing)", source=source, labels=came.labels, outside=is_outside, pictures=images)
        name = self._shelf.keep(kept)
        self.kept[call.id] = name
        self._put(call, self._piece(name, kept, 0), failed=bool(came.code), shown=_seen(kept))
        self._counted.add(call.id)
        return source

    def _take(self, call: ToolCall, number: int) -> None:
        one = self._offered.get(call.name)
        tool = one.tool if one else self._own.get(call.name)
        if tool is None:
            self._wrong(call, tools.unknown(call.name, [*self._offered, *self._own]))
            return
        arguments = call.arguments
        if call.malformed:
            found = read(call.malformed, tool.parameters)
            if found.problems or not isinstance(found.value, dict):
                self._wrong(call, f"its arguments are no JSON object of its schema: {'; '.join(found.problems)}")
                return
            arguments = found.value
        if one is None:
            self._take_own(call, arguments, number)
            return
        made = tools.ready(one, arguments)
        if isinstance(made, str):
            self._wrong(call, made)
            return
        self._make(call, Make(number=number, method=made.method, resource=made.resource, arguments=made.arguments))

    def _take_own(self, call: ToolCall, given: dict[str, object], number: int) -> None:
        given = {name: value for name, value in given.items() if value is not None}
        if why := tools.checked({**tools.OWN_PARAMS, **skills.PARAMS}[call.name], given):
            self._wrong(call, why)
        elif call.name == tools.READ:
            self._read(call, str(given["id"]), int(str(given.get("start", 0))), str(given.get("find", "")))
        elif call.name in skills.PARAMS:
            self._take_skill(call, str(given["name"]), str(given.get("file", "")), number)
        else:
            task, more = given.get("task"), given.get("inputs")
            inputs = {**(more if isinstance(more, dict) else {}), **({} if task is None else {"task": task})}
            arguments: dict[str, object] = {"inputs": inputs, "wait": True}
            make = Make(number=number, method=tools.SPAWN, resource=str(given["hand"]), arguments=arguments)
            self._make(call, make)

    def _take_skill(self, call: ToolCall, name: str, file: str, number: int) -> None:
        skill = self._known.get(name)
        if skill is None:
            self._wrong(call, f"there is no skill {name[:200]!r}; {suggestion(name, self._known)}")
        elif call.name == skills.PLACE:
            self._make(call, Make(number=number, method=skills.PLACE, resource=name, arguments={}))
        elif skill.method:
            given: dict[str, object] = {"file": file} if file else {}
            self._make(call, Make(number=number, method=skill.method, resource="", arguments=given))
        else:
            text, why = skills.text_of(skill, file)
            if why:
                self._wrong(call, why)
                return
            kept = Kept(text=text or "(nothing)", source=f"skill {name}")
            self.kept[call.id] = self._shelf.keep(kept)
            self.shown.append(f"{skills.READ} {name} {file}".rstrip())
            self._put(call, self._piece(self.kept[call.id], kept, 0), failed=False)
            self._counted.add(call.id)

    def _make(self, call: ToolCall, make: Make) -> None:
        source = f"{make.method} {make.resource}".strip()
        self._open[make.number] = call, source
        self.makes.append(make)
        self.shown.append(source)

    def _read(self, call: ToolCall, name: str, start: int, find: str) -> None:
        kept = self._shelf.find(name)
        if kept is None:
            self._wrong(call, f"there is no result {name!r}, or it is not kept any more")
            return
        at = kept.text.find(find, max(0, start)) if find else max(0, start)
        if at < 0 or at >= len(kept.text):
            self._wrong(
                call, f"{find!r} does not stand there" if find else f"it has {len(kept.text):,} characters only"
            )
            return
        self.kept[call.id] = name
        self.shown.append(f"{tools.READ} {name}")
        self._put(call, self._piece(name, kept, at), failed=False, shown=() if at else _seen(kept))
        self._counted.add(call.id)

    def _piece(self, name: str, kept: Kept, start: int) -> str:
        """A result from some place on, as far as it is shown at once."""
        end = cut(kept.text, start, self._most)
        piece = kept.text[start:end]
        shown = self._marks.marked(piece, kept.source, kept.labels) if kept.outside else self._marks.clean(piece)
        return "\n".join(filter(None, (shown, rest(name, kept.text, start, end))))

    def _wrong(self, call: ToolCall, why: str) -> None:
        self._put(call, self._marks.clean(why), failed=True)

    def _put(self, call: ToolCall, text: str, *, failed: bool, shown: tuple[Text | Image, ...] = ()) -> None:
        self._results[call.id] = ToolResult(id=call.id, content=(Text(text=text), *shown), failed=failed)


def _seen(kept: Kept) -> tuple[Text | Image, ...]:
    """The pictures of a result; nothing within them could be marked, so that is said before them."""
    is_told = kept.outside and kept.pictures
    return (*((Text(text=pictures.OUTSIDE),) if is_told else ()), *kept.pictures)
