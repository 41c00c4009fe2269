"""One agent run as a machine that only decides (pure): told what came, it says what is to be done, until it has a result.

A turn is an answer of the model and, where that asks for tools, all their results; the next turn begins when the last of them
is there. Calls of one answer are made at once. Every way on is bounded: by the steps, the tokens, the money, the guard, and
REPAIRS for what a model writes that cannot be used. Whatever bound is met, the result has what was reached before.

It keeps the whole conversation and every result (talk.py, results.py): what is left out of a request is not lost.
"""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from runtime.agent import briefing, skills, tools
from runtime.agent.actions import Action, Brief, Make, Recalled, Result, Returned, Step, Think
from runtime.agent.answers import Finished, judged
from runtime.agent.codes import LIMITS, LOST, NO_PICTURES, OVER, TOO_LONG
from runtime.agent.guard import Guard
from runtime.agent.marks import Marks, unmarked
from runtime.agent.mending import marked_anew, mended
from runtime.agent.outage import Outage
from runtime.agent.results import Kept, Shelf, cut, rest
from runtime.agent.talk import Talk
from runtime.agent.turn import Turn
from runtime.models import counting
from runtime.models.messages import Answer, Image, Message, Request, Text, ToolCall, Usage
from runtime.models.pricing import cost
from runtime.models.rows import Model
from runtime.models.schemas import correction

REPAIRS: Final = 3
"""How often in a row a model may write what cannot be used."""

WINDOW: Final = 32_000
"""Tokens of a model of which nothing is known."""

ANSWER_SHARE: Final = 4
ANSWER_MOST: Final = 16_000
"""What of the window is left to the answer: a quarter, and no more than that many tokens."""

RECALLED_SHARE: Final = 4
RECALLED_LEAST: Final = 200
"""What of the window all that is recalled takes, counting a character as a token; and characters that are shown of each."""

TOOLS_SHARE: Final = 4
"""What of the window the tools may take, that schemas tell more of."""

LAST: Final = "This is your last step. Answer now, with what you have: no tool that you ask for will be called."
MARGIN: Final = 2
"""How many times what was counted a request may have, for what is reserved for it."""


class Machine:
    """From the task to the result."""

    def __init__(
        self, brief: Brief, offered: Mapping[str, tools.Offered], marks: Marks, *, session: tuple[Message, ...] = ()
    ) -> None:
        """session: an earlier conversation, whole or not, of which this run is the next part."""
        self._brief, self._marks, self._offered = brief, marks, offered
        self._system = briefing.system(brief, marks)
        reading = skills.tools(brief.skills, can_place=brief.can_place)
        self._own = {tool.name: tool for tool in (*tools.own(brief.delegates), *reading)}
        self._skills = {one.name: one for one in brief.skills}
        self._shelf, self._guard = Shelf(), Guard()
        self._window = brief.window or WINDOW
        self._before = mended(marked_anew(session, marks))
        self._guard.remember(self._before)
        self._outage = Outage()
        self._talk: Talk | None = None
        self._turn: Turn | None = None
        self._steered: list[str] = []
        self._bad = self._squeezed = self._lost = self._steps = self._tokens = self._money = self._numbers = 0
        self._usage = Usage()
        self._row: Model | None = None
        self._knows_window = False
        self._reserved = 0
        self._models: dict[str, None] = {}
        self._notes: dict[str, None] = {}
        self._last = ""
        self._finished: Finished | None = None
        self._actions: list[Action] = []
        self.result: Result | None = None

    # what is told to it ----------------------------------------------------------------------------------------------

    def begin(self, task: str, remembered: tuple[Recalled, ...] = ()) -> list[Action]:
        """The first actions. remembered: what memory recalled of the task."""
        most = max(RECALLED_LEAST, self._window // RECALLED_SHARE // max(1, len(remembered)))
        self._talk = Talk(
            self._marks,
            self._before,
            briefing.task(task, [self._recalled(one, most) for one in remembered]),
            self._kept_whole,
            sees=self._brief.sees,
        )
        self._step("begun", _short(task))
        self._think()
        return self._taken()

    def answered(self, answer: Answer, *, tokens: int = 0, micro_dollars: int = 0) -> list[Action]:
        """The model answered. tokens, micro_dollars: what the call was settled at."""
        self._count(answer, tokens, micro_dollars)
        if answer.calls:
            self._ask_for(answer)
        else:
            self._finish_or_go_on(answer)
        return self._taken()

    def failed(self, code: str, text: str, *, tokens: int = 0, micro_dollars: int = 0) -> list[Action]:
        """The model did not answer. tokens, micro_dollars: what the call was settled at."""
        if code not in LOST:
            self._tokens += tokens
            self._money += micro_dollars
        if code in TOO_LONG and self._squeezed < REPAIRS:
            self._squeezed += 1
            self._window = self._window * 2 // 3
            if self._talk is not None:
                self._talk.narrow()
            self._step("folded", f"the request was too long: {text}")
            self._think()
        elif code in LOST and self._lost < REPAIRS:
            self._lost += 1
            self._money += self._reserved
            self._step("mended", f"an answer of the model was lost, it is asked again: {text}")
            self._think()
        elif code in NO_PICTURES and self._talk is not None and self._talk.shows_pictures:
            self._talk.hide(passes=code == "paused")
            self._step("mended", f"it is asked again without pictures: {text}")
            self._think()
        elif code == "schema":
            self._repair(correction((text,)), code, text)
        elif self._steps and (pause := self._outage.pause(code, text)):
            self._step("waits", self._outage.waiting_note(pause))
            self._think(after=pause)
        elif self.result is None:
            self._end(code, OVER.get(code, self._outage.final_text(text)))
        return self._taken()

    def returned(self, number: int, came: Returned) -> list[Action]:
        """A call that was asked for has ended. One that nobody waits for any more is passed over."""
        turn = self._turn
        if turn is None or not turn.awaits(number):
            return []
        self._tokens += came.tokens
        self._money += came.micro_dollars
        source = turn.returned(number, came)
        if came.code:
            self._step("failed", f"{source}: {came.code}: {came.text}")
        else:
            self._step("returned", source)
        self._on()
        return self._taken()

    def steered(self, text: str, labels: tuple[str, ...] = ()) -> list[Action]:
        """A person, or who else may, speaks meanwhile. The model reads it with the next results, or before it ends."""
        self._steered.append(self._marks.marked(text, "steering", labels) if labels else self._marks.clean(text))
        self._guard.steered()
        self._step("steered", _short(text))
        return self._taken()

    def interrupted(self, why: str) -> list[Action]:
        """It is to end now, with what it has."""
        if self.result is None:
            self._end("interrupted", why or "it was asked to stop")
        return self._taken()

    def out_of_time(self) -> list[Action]:
        """Its kernel would end it soon, without a word of what it has."""
        if self.result is None:
            why = "its time ([limits] wall, or what its caller gave it) is nearly over"
            self._end("time", f"{why}{self._outage.late()}")
        return self._taken()

    def learned(self, row: Model) -> None:
        """What is listed of a model that is asked, or has answered. The smallest window counts, and the last price."""
        self._row = row
        if not self._brief.window and row.window:
            self._window = min(self._window, row.window) if self._knows_window else row.window
            self._knows_window = True

    @property
    def progress(self) -> tuple[int, int]:
        """Steps made, of how many."""
        return self._steps, self._brief.steps

    def _recalled(self, one: Recalled, most: int) -> str:
        """What is shown of it: of a long text the piece that was found, and how the rest of it is read."""
        start = one.at if len(one.text) > most else 0
        end, name = cut(one.text, start, most), ""
        if (start, end) != (0, len(one.text)):
            name = self._shelf.keep(Kept(text=one.text, source="memory", labels=one.labels, outside=True))
        shown = self._marks.marked(one.text[start:end], "memory", one.labels)
        text = rest(name, one.text, start, end)
        if name and end == len(one.text):
            text = f'{text.removesuffix("]")}; read_result(id="{name}") gives what is before]'
        return "\n".join(filter(None, (shown, text)))

    def _kept_whole(self, text: str, source: str, label: str, images: tuple[Image, ...]) -> str:
        """The id of words that a digest shortens; they may hold what came from outside, so they are marked when read."""
        kept = Kept(text=unmarked(text), source=source, labels=(label,), outside=True, pictures=images)
        return self._shelf.keep(kept)

    # thinking --------------------------------------------------------------------------------------------------------

    def _think(self, after: int = 0) -> None:
        """Ask the model, unless a bound is met. after: seconds."""
        assert self._talk is not None
        brief = self._brief
        if self._steps >= brief.steps:
            self._end("steps", f"all of its {brief.steps} steps are made")
            return
        if brief.micro_dollars and self._money >= brief.micro_dollars:
            self._end("dollars", f"all of its {brief.micro_dollars / 1_000_000:g} dollars are spent")
            return
        most = min(self._window // ANSWER_SHARE, ANSWER_MOST)
        told = (*self._own.values(), *tools.fitting(self._offered.values(), self._window // TOOLS_SHARE))
        request = Request(messages=(_NOTHING,), system=self._system, tools=told, schema=brief.schema, most=most)
        request = replace(request, task=brief.task)
        was_folded = self._talk.folded
        own = counting.of_request(request)
        messages = self._talk.view(self._window - most - own)
        if messages is None:
            why = f"the task and its last turn are longer than what the {self._window:,} tokens of its model leave to them"
            self._end(
                "too_long", f"{why}: its playbook, skills and tools take {own:,}, and its answer may take {most:,}"
            )
            return
        if self._talk.folded != was_folded:
            self._step("folded", "what is older is left out of what the model reads, and kept")
        request = replace(request, messages=messages)
        left = max(0, brief.tokens - self._tokens)
        if brief.tokens and counting.of_request(request) >= left:
            self._end("tokens", f"its next answer needs more than is left of its {brief.tokens:,} tokens")
            return
        if brief.tokens:
            request = replace(request, most=min(most, left - counting.of_request(request)))
        if not after:
            self._step("thinks", "")
        self._actions.append(replace(self._bounded(request), after=after))

    def _bounded(self, request: Request) -> Think:
        """A request; where [agent] bounds money with the most that it may cost: its longest answer, if the price is known.

        Tokens need no such bound: what a request has is counted before, and its answer has no more than `most`.
        """
        self._reserved = 0
        if not self._brief.micro_dollars:
            return Think(request=request)
        tokens, left = MARGIN * counting.of_request(request), self._brief.micro_dollars - self._money
        self._reserved = cost(Usage(input=tokens, output=request.most), self._row) or 0
        return Think(request=request, tokens=tokens + request.most, micro_dollars=min(left, self._reserved or left))

    def _count(self, answer: Answer, tokens: int, micro_dollars: int) -> None:
        self._steps += 1
        self._squeezed = self._lost = 0
        self._outage = Outage()
        self._tokens += max(tokens, answer.usage.total)
        self._money += max(micro_dollars, answer.micro_dollars)
        one, all_ = answer.usage, self._usage
        self._usage = Usage(
            input=all_.input + one.input, cached=all_.cached + one.cached, output=all_.output + one.output,
            cache_written=all_.cache_written + one.cache_written, estimated=all_.estimated or one.estimated,
        )  # fmt: skip
        self._models[answer.model] = None
        self._notes |= dict.fromkeys(answer.notes)
        self._last = answer.text.strip() or self._last

    def _finish_or_go_on(self, answer: Answer) -> None:
        """An answer without calls: the last one, unless there is something wrong with it or something to say."""
        if answer.text.strip():
            self._take_answer(answer)
        found = judged(answer, self._brief.schema)
        if isinstance(found, Finished):
            self._finished = found
        if self._steered:
            self._tell(())
        elif isinstance(found, Finished):
            self._result(found.value, "", "")
        elif found.say:
            self._repair(found.say, found.code, found.why)
        else:
            self._end(found.code, _short(found.why))

    def _repair(self, say: str, code: str, why: str) -> None:
        """Tell the model what to do better; it ends when it was told so REPAIRS times in a row."""
        self._bad += 1
        if self._bad > REPAIRS:
            self._end(code, f"{why}, after {REPAIRS} attempts to mend that")
            return
        self._step("mended", why)
        self._tell((Text(text=say),))

    # acting ----------------------------------------------------------------------------------------------------------

    def _ask_for(self, answer: Answer) -> None:
        assert self._talk is not None
        if self._steps >= self._brief.steps:
            self._end("steps", f"all of its {self._brief.steps} steps are made, and it asked for more")
            return
        self._finished = None
        calls = self._take_answer(answer)
        turn = Turn(
            calls, self._offered, self._own, self._skills, self._shelf, self._marks,
            window=self._window, number=self._numbers,
        )  # fmt: skip
        self._turn, self._numbers = turn, self._numbers + len(calls)
        self._step("asks", "; ".join(turn.shown) or "for nothing that can be done")
        self._actions += self._shared(turn.makes)
        self._on()

    def _shared(self, makes: list[Make]) -> list[Make]:
        """The calls; what is left of tokens and money is shared out among those that begin runs of other Hands."""
        brief, number = self._brief, sum(one.method == tools.SPAWN for one in makes)
        tokens = max(1, (brief.tokens - self._tokens) // max(1, number)) if brief.tokens else 0
        money = max(1, (brief.micro_dollars - self._money) // max(1, number)) if brief.micro_dollars else 0
        return [
            replace(one, tokens=tokens, micro_dollars=money, among=number) if one.method == tools.SPAWN else one
            for one in makes
        ]  # fmt: skip

    def _take_answer(self, answer: Answer) -> tuple[ToolCall, ...]:
        """Put an answer into the conversation; its calls, each with an id that no other has."""
        assert self._talk is not None
        parts = self._talk.answered(answer.parts)
        return tuple(part for part in parts if isinstance(part, ToolCall))

    def _on(self) -> None:
        """Go on if all results are there."""
        turn = self._turn
        if turn is None or turn.is_open or self._talk is None:
            return
        self._turn = None
        results = turn.results()
        for call, name in turn.kept.items():
            self._talk.keep(call, name)
        self._bad = self._bad + 1 if turn.is_all_wrong else 0
        seen = self._guard.turn(turn.made)
        self._tell(results, warn=seen.warn, think=not seen.stop)
        if seen.stop:
            self._end("stuck", seen.stop)
        elif self._bad > REPAIRS:
            self._end("arguments", f"it asked {REPAIRS + 1} times in a row for what cannot be called")

    def _tell(self, parts: tuple[object, ...], *, warn: str = "", think: bool = True) -> None:
        """Tell the model, and all that was said meanwhile with it; then let it think."""
        assert self._talk is not None
        if warn:
            self._step("warned", warn)
        said, self._steered = tuple(self._steered), []
        is_last = self._steps == self._brief.steps - 1
        texts = [*said, *([warn] if warn else []), *([LAST] if is_last else [])]
        self._talk.add_user((*parts, *(Text(text=text) for text in texts)), said)  # type: ignore[arg-type]
        if think and self._bad <= REPAIRS:
            self._think()

    # the end ---------------------------------------------------------------------------------------------------------

    def _end(self, code: str, why: str) -> None:
        """It ends before it is done, with what was said last; at a limit with the answer that somebody said more to."""
        if self._finished is None or code not in LIMITS:
            self._result(self._last or None, code, why)
            return
        self._notes[f"What was said to it last is not answered: {why}"] = None
        self._result(self._finished.value, "", "")

    def _result(self, answer: object, code: str, why: str) -> None:
        talk = self._talk
        self._turn = None
        self._step("ended", f"{code}: {why}" if code else "done")
        self._actions = [one for one in self._actions if isinstance(one, Step)]
        self.result = Result(
            answer=answer, code=code, why=why, steps=self._steps, usage=self._usage, tokens=self._tokens,
            micro_dollars=self._money, models=tuple(self._models), notes=tuple(self._notes),
            made=talk.made() if talk else (), session=mended(talk.messages) if talk else (),
        )  # fmt: skip

    def _step(self, what: str, text: str) -> None:
        self._actions.append(Step(what=what, number=self._steps, text=text))

    def _taken(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions


_NOTHING: Final = Message(role="user", parts=(Text(text=""),))
_SHOWN: Final = 200


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHOWN else f"{flat[:_SHOWN]}…"
