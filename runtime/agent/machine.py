"""One agent run as a machine that only decides (pure): it takes events, returns actions, and in the end has a result.

A turn is an answer of the model and, if that asks for tools, all their results; the next turn begins when the last of
them is there. The calls of one answer are made at once. Everything is bounded: by steps, tokens, money, the guard, and
REPAIRS for unusable answers. Whichever bound is reached, the result has the work so far.

The machine keeps the whole conversation and every result (conversation.py, results.py): what a request leaves out is
not lost.
"""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from runtime.agent import briefing, skills, tools
from runtime.agent.actions import Action, AskModel, Brief, Outcome, Recalled, Result, Step
from runtime.agent.answers import Finished, judge
from runtime.agent.codes import LIMITS, LOST, REASONS, RETRY_WITHOUT_PICTURES, TOO_LONG, too_long_reason
from runtime.agent.conversation import Conversation
from runtime.agent.digest import shorten
from runtime.agent.fitting import fit
from runtime.agent.guard import Guard
from runtime.agent.marks import Marks, remove_marks
from runtime.agent.mending import mark_anew, mend
from runtime.agent.outage import Outage
from runtime.agent.results import Kept, Shelf, end_of_shown, note_on_rest
from runtime.agent.sharing import with_shares
from runtime.agent.turn import Turn
from runtime.models import counting
from runtime.models.messages import Answer, AnyPart, Image, Message, Request, Text, ToolCall, Usage
from runtime.models.pricing import cost
from runtime.models.rows import Model
from runtime.models.schemas import correction

REPAIRS: Final = 3
"""How often in a row a model may give an unusable answer and is told what to correct."""

WINDOW: Final = 32_000
"""Tokens of the window of a model that is not listed, or not known yet: of a route, the first answer tells which it is.

What cannot be left out of such a request is sent even if it is longer: whoever is asked knows better.
"""

ANSWER_SHARE: Final = 4
ANSWER_MOST: Final = 16_000
"""The answer may take a quarter of the window, and no more than this many tokens."""

RECALLED_SHARE: Final = 4
RECALLED_LEAST: Final = 200
"""All recalled texts take a quarter of the window; each shows at least these characters."""

TOOLS_SHARE: Final = 4
"""If tools with their schemas would take more than a quarter of the window, the model is told types only."""

LAST: Final = "This is your last step. Give your final answer now, with what you have: no further tool will be called."
MARGIN: Final = 2
"""The tokens reserved for a request are this many times the tokens counted."""


class Machine:
    """One run, from the task to its result. result: None until the run has ended."""

    def __init__(
        self, brief: Brief, offered: Mapping[str, tools.Offered], marks: Marks, *, session: tuple[Message, ...] = ()
    ) -> None:
        """offered: tools for granted methods, by name. session: an earlier conversation to continue, cut or whole."""
        self._brief, self._marks, self._offered = brief, marks, offered
        self._system = briefing.system_prompt(brief, marks)
        own = (*tools.own_tools(brief.delegates), *skills.skill_tools(brief.skills, can_place=brief.can_place))
        self._own = {tool.name: tool for tool in own}
        self._skills = {one.name: one for one in brief.skills}
        self._shelf, self._guard = Shelf(), Guard(tools.that_act(offered))
        self._window = brief.window or WINDOW
        self._before = mend(mark_anew(session, marks))
        self._guard.count_session(self._before)
        self._outage = Outage()
        self._conversation: Conversation | None = None
        self._turn: Turn | None = None
        self._steering: list[str] = []
        self._steps = self._tokens = self._micro_dollars = self._calls = 0
        self._unusable = self._shortened = self._lost = 0  # times in a row
        self._usage = Usage()
        self._row: Model | None = None
        self._knows_window = False
        self._reserved = self._reserved_tokens = 0  # of the last request: what counts if its answer is lost
        self._counted = 0  # tokens of the last request
        self._models: dict[str, None] = {}
        self._notes: dict[str, None] = {}
        self._last_text = ""
        self._finished: Finished | None = None
        self._actions: list[Action] = []
        self.result: Result | None = None

    # events ----------------------------------------------------------------------------------------------------------

    def begin(self, task: str, recalled: tuple[Recalled, ...] = ()) -> list[Action]:
        """Return the first actions. recalled: what memory recalled for the task."""
        most = max(RECALLED_LEAST, self._window // RECALLED_SHARE // max(1, len(recalled)))
        self._conversation = Conversation(
            self._marks, self._before, briefing.task_message(task, [self._show_recalled(one, most) for one in recalled]),
            self._keep_outside, takes_pictures=self._brief.takes_pictures,
        )  # fmt: skip
        self._report("begun", shorten(task, _SHOWN))
        self._ask_model()
        return self._take_actions()

    def on_answer(self, answer: Answer, *, tokens: int = 0, micro_dollars: int = 0) -> list[Action]:
        """The model answered. tokens, micro_dollars: what the call was settled at."""
        self._count_answer(answer, tokens, micro_dollars)
        if answer.calls:
            self._begin_turn(answer)
        else:
            self._finish_or_go_on(answer)
        return self._take_actions()

    def on_failure(self, code: str, text: str, *, tokens: int = 0, micro_dollars: int = 0) -> list[Action]:
        """The model did not answer. tokens, micro_dollars: what the call was settled at."""
        if code in LOST:
            tokens, micro_dollars = self._reserved_tokens, self._reserved
        self._tokens += tokens
        self._micro_dollars += micro_dollars
        if code in TOO_LONG and self._shortened < REPAIRS:
            self._shortened += 1
            self._window, self._knows_window = self._window * 2 // 3, True
            if self._conversation is not None:
                self._conversation.halve_picture_room()
            self._report("folded", f"the request was too long: {text}")
            self._ask_model()
        elif code in LOST and self._lost < REPAIRS:
            self._lost += 1
            self._report("mended", f"an answer of the model was lost, asking again: {text}")
            self._ask_model()
        elif code in RETRY_WITHOUT_PICTURES and self._conversation is not None and self._conversation.shows_pictures:
            self._conversation.hide_pictures(passes=code == "paused")
            self._report("mended", f"asking again without pictures: {text}")
            self._ask_model()
        elif code == "schema":
            self._correct(correction((self._marks.mark(text, "its failure"),)), code, text)
        elif self._steps and (pause := self._outage.next_pause(code, text)):
            self._report("waits", self._outage.waiting_note(pause))
            self._ask_model(pause=pause)
        elif self.result is None:
            self._end(code, REASONS.get(code, self._outage.end_reason(text)))
        return self._take_actions()

    def on_outcome(self, number: int, outcome: Outcome) -> list[Action]:
        """A call ended. One that the run does not wait for is ignored."""
        turn = self._turn
        if turn is None or not turn.awaits(number):
            return []
        self._tokens += outcome.tokens
        self._micro_dollars += outcome.micro_dollars
        source = turn.take_outcome(number, outcome)
        if outcome.code:
            self._report("failed", f"{source}: {outcome.code}: {outcome.text}")
        else:
            self._report("returned", source)
        self._end_turn()
        return self._take_actions()

    def on_steering(self, text: str, labels: tuple[str, ...] = ()) -> list[Action]:
        """Somebody who may speaks to the run. The model reads it with the next results, or before the run ends."""
        self._steering.append(self._marks.mark(text, "steering", labels) if labels else self._marks.clean(text))
        self._guard.restart_turns()
        self._report("steered", shorten(text, _SHOWN))
        return self._take_actions()

    def on_stop(self, why: str) -> list[Action]:
        """Somebody who may stops the run: it ends now, with what it has."""
        if self.result is None:
            self._end("interrupted", why or "it was asked to stop")
        return self._take_actions()

    def on_time_nearly_over(self) -> list[Action]:
        """The kernel would soon end the run without its work so far: it ends now."""
        if self.result is None:
            why = "its time ([limits] wall, or what its caller gave it) is nearly over"
            self._end("time", f"{why}{self._outage.late_note()}")
        return self._take_actions()

    def use_row(self, row: Model) -> None:
        """Use what is listed of a model that is asked or has answered: the smallest window and the last prices count."""
        self._row = row
        if self._brief.window or not row.window:
            return
        if not self._knows_window and self._conversation is not None and row.window > self._window:
            self._conversation.unfold()
        self._window = min(self._window, row.window) if self._knows_window else row.window
        self._knows_window = True

    @property
    def progress(self) -> tuple[int, int]:
        """Steps made, and the most there may be."""
        return self._steps, self._brief.steps

    def _show_recalled(self, one: Recalled, most: int) -> str:
        """Return a recalled text, marked; of a long one the piece that matched, and how to read the rest."""
        start = one.at if end_of_shown(one.text, 0, most) < len(one.text) else 0
        end, name = end_of_shown(one.text, start, most), ""
        if (start, end) != (0, len(one.text)):
            name = self._shelf.keep(Kept(text=one.text, source="memory", labels=one.labels, is_outside=True))
        shown = self._marks.mark(one.text[start:end], "memory", one.labels)
        note = note_on_rest(name, one.text, start, end)
        if name and end == len(one.text):
            note = f'{note.removesuffix("]")}; read what comes before it with read_result(id="{name}")]'
        return "\n".join(filter(None, (shown, note)))

    def _keep_outside(self, text: str, source: str, label: str, images: tuple[Image, ...]) -> str:
        """Keep words that a digest shortens; return their id. They may quote content from outside, so they count as that."""
        kept = Kept(text=remove_marks(text), source=source, labels=(label,), is_outside=True, pictures=images)
        return self._shelf.keep(kept)

    # asking the model ------------------------------------------------------------------------------------------------

    def _ask_model(self, pause: int = 0) -> None:
        """Ask the model, or end the run at a bound. pause: seconds to wait first."""
        assert self._conversation is not None
        brief = self._brief
        if self._steps >= brief.steps:
            self._end("steps", f"all of its {brief.steps} steps ([agent] steps) are made")
            return
        if brief.micro_dollars and self._micro_dollars >= brief.micro_dollars:
            self._end("dollars", f"all of its {brief.micro_dollars / 1_000_000:g} dollars ([agent] dollars) are spent")
            return
        most = min(self._window // ANSWER_SHARE, ANSWER_MOST)
        offered = (*self._own.values(), *tools.that_fit(self._offered.values(), self._window // TOOLS_SHARE))
        request = Request(
            messages=(_EMPTY,), system=self._system, tools=offered, schema=brief.schema, most=most, task=brief.task
        )
        frame = counting.of_request(request)
        was_folded = self._conversation.folded
        is_known = bool(brief.window or self._knows_window)
        fitted = fit(request, self._conversation, self._window - most - frame, is_known=is_known)
        if fitted is None:
            self._end("too_long", too_long_reason(self._window, frame, most))
            return
        if self._conversation.folded != was_folded:
            self._report("folded", "older turns are left out of what the model reads, and kept")
        if brief.tokens:
            left = brief.tokens - self._tokens - counting.of_request(fitted)
            if left <= 0:
                whole = f"{brief.tokens:,} tokens ([agent] tokens)"
                self._end("tokens", f"its next answer needs more than is left of its {whole}")
                return
            fitted = replace(fitted, most=min(most, left))
        if not pause:
            self._report("thinks", "")
        self._actions.append(replace(self._bounded(fitted), pause=pause))

    def _bounded(self, request: Request) -> AskModel:
        """Return the action; if [agent] bounds money, with the price of the longest answer, or all that is left.

        Tokens need no such bound: a request's are counted before, and its answer has no more than `most`.
        """
        brief, self._counted, self._reserved = self._brief, counting.of_request(request), 0
        self._reserved_tokens = self._counted + request.most if brief.tokens else 0
        if not brief.micro_dollars:
            return AskModel(request=request)
        tokens, left = MARGIN * self._counted, brief.micro_dollars - self._micro_dollars
        self._reserved = cost(Usage(input=tokens, output=request.most), self._row) or 0
        return AskModel(request=request, tokens=tokens + request.most, micro_dollars=min(left, self._reserved or left))

    def _count_answer(self, answer: Answer, tokens: int, micro_dollars: int) -> None:
        self._steps += 1
        self._shortened = self._lost = 0
        self._outage = Outage()
        self._tokens += max(tokens, answer.usage.total)
        self._micro_dollars += max(micro_dollars, answer.micro_dollars)
        one, total = answer.usage, self._usage
        self._usage = Usage(
            input=total.input + one.input, cached=total.cached + one.cached, output=total.output + one.output,
            cache_written=total.cache_written + one.cache_written, estimated=total.estimated or one.estimated,
        )  # fmt: skip
        self._models[answer.model] = None
        self._notes |= dict.fromkeys(answer.notes)
        self._last_text = answer.text.strip() or self._last_text

    def _finish_or_go_on(self, answer: Answer) -> None:
        """Take an answer without calls: it ends the run, unless it has a fault or somebody has spoken meanwhile."""
        if answer.text.strip():
            self._add_answer(answer)
        found = judge(answer, self._brief.schema)
        if isinstance(found, Finished):
            self._finished = found
        if self._steering:
            self._tell_model(())
        elif isinstance(found, Finished):
            self._set_result(found.value, "", "")
        elif found.correction:
            self._correct(found.correction, found.code, found.why)
        else:
            self._end(found.code, shorten(found.why, _SHOWN))

    def _correct(self, say: str, code: str, why: str) -> None:
        """Tell the model what to correct; end the run after REPAIRS times in a row."""
        self._unusable += 1
        if self._unusable > REPAIRS:
            self._end(code, f"{why}, after {REPAIRS} corrections")
            return
        self._report("mended", why)
        self._tell_model((Text(text=say),))

    # calls -----------------------------------------------------------------------------------------------------------

    def _begin_turn(self, answer: Answer) -> None:
        if self._steps >= self._brief.steps:
            self._end("steps", f"all of its {self._brief.steps} steps ([agent] steps) are made, and it asked for more")
            return
        self._finished = None
        calls = self._add_answer(answer)
        turn = Turn(
            calls, self._offered, self._own, self._skills, self._shelf, self._marks,
            window=self._window, number=self._calls,
        )  # fmt: skip
        self._turn, self._calls = turn, self._calls + len(calls)
        self._report("asks", "; ".join(turn.lines))
        tokens = max(1, self._brief.tokens - self._tokens) if self._brief.tokens else 0
        money = max(1, self._brief.micro_dollars - self._micro_dollars) if self._brief.micro_dollars else 0
        self._actions += with_shares(turn.calls, (tokens, money), self._counted, self._row)
        self._end_turn()

    def _add_answer(self, answer: Answer) -> tuple[ToolCall, ...]:
        """Add an answer to the conversation; return its calls, each with an id that no other call has."""
        assert self._conversation is not None
        parts = self._conversation.add_answer(answer.parts)
        return tuple(part for part in parts if isinstance(part, ToolCall))

    def _end_turn(self) -> None:
        """Tell the model the results of the turn, if all are there."""
        turn = self._turn
        if turn is None or turn.is_open or self._conversation is None:
            return
        self._turn = None
        self._conversation.set_result_ids(turn.result_ids)
        self._unusable = self._unusable + 1 if turn.is_all_rejected else 0
        verdict = self._guard.count_turn(turn.made)
        is_over = bool(verdict.end) or self._unusable > REPAIRS
        self._tell_model(turn.results(), warning=verdict.warning, asks=not is_over)
        if verdict.end:
            self._end("stuck", verdict.end)
        elif is_over:
            self._end("arguments", f"it asked {REPAIRS + 1} times in a row for what cannot be called")

    def _tell_model(self, parts: tuple[AnyPart, ...], *, warning: str = "", asks: bool = True) -> None:
        """Add these parts, what was said meanwhile and the warning to the conversation; then ask the model."""
        assert self._conversation is not None
        if warning:
            self._report("warned", warning)
        said, self._steering = tuple(self._steering), []
        is_last = self._steps == self._brief.steps - 1
        texts = [*said, *([warning] if warning else []), *([LAST] if is_last else [])]
        self._conversation.add_user((*parts, *(Text(text=text) for text in texts)), said)
        if asks:
            self._ask_model()

    # the end ---------------------------------------------------------------------------------------------------------

    def _end(self, code: str, why: str) -> None:
        """End the run early, with the model's last text; at a limit, with a final answer that somebody said more to."""
        if self._finished is None or code not in LIMITS:
            self._set_result(self._last_text or None, code, why)
            return
        self._notes[f"What was said to it last is not answered: {why}"] = None
        self._set_result(self._finished.value, "", "")

    def _set_result(self, answer: object, code: str, why: str) -> None:
        conversation, turn, self._turn = self._conversation, self._turn, None
        if conversation is not None and turn is not None:
            conversation.set_result_ids(turn.result_ids)
            conversation.add_user(turn.results())
        self._report("ended", f"{code}: {why}" if code else "done")
        self._actions = [one for one in self._actions if isinstance(one, Step)]
        self.result = Result(
            answer=answer, code=code, why=why, steps=self._steps, usage=self._usage, tokens=self._tokens,
            micro_dollars=self._micro_dollars, models=tuple(self._models), notes=tuple(self._notes),
            made=conversation.call_lines() if conversation else (),
            session=mend(conversation.messages) if conversation else (),
        )  # fmt: skip

    def _report(self, what: str, text: str) -> None:
        self._actions.append(Step(what=what, number=self._steps, text=text))

    def _take_actions(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions


_EMPTY: Final = Message(role="user", parts=(Text(text=""),))
_SHOWN: Final = 200
"""Characters that a report shows of a text."""
