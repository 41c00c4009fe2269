"""A stream of Chat Completions, read into pieces and an Answer (pure). Source: developers.openai.com/api/reference, chunks.

Services differ from it, and from one another. What is taken as it comes: no id of a call or the same one twice (one is
made), calls without an index, arguments as an object, thinking as `reasoning_content`, `reasoning` or a part of the content,
usage with the last delta, after it, or not at all (it is counted then), a reason to stop that does not fit the calls.
"""

from typing import Final

import msgspec
from msgspec import Struct

from runtime.models.drivers import saying
from runtime.models.drivers.openai_out import sealed
from runtime.models.drivers.saying import TOLD_MOST, call_of, count, ids_in, new_id
from runtime.models.failures import ModelFailed
from runtime.models.letters import Letters, whole
from runtime.models.messages import (
    Answer,
    AnyPiece,
    Request,
    Stop,
    Text,
    TextPiece,
    Thinking,
    ThinkingPiece,
    ToolCall,
    ToolPiece,
    Usage,
)  # fmt: skip

_STOPS: Final = {
    "content_filter": Stop.REFUSED,
    "eos": Stop.END,
    "function_call": Stop.TOOL,
    "length": Stop.LENGTH,
    "model_length": Stop.LENGTH,
    "refusal": Stop.REFUSED,
    "sensitive": Stop.REFUSED,
    "stop": Stop.END,
    "tool_calls": Stop.TOOL,
}
_BROKEN: Final = {"error": "server", "insufficient_system_resource": "overloaded", "network_error": "cut"}
"""Reasons to stop that are failures: OpenRouter's, DeepSeek's, Z.AI's."""

CALLS_MOST: Final = 1_000
"""Tools that one answer may ask for: each delta is looked for among them."""

PARTS_MOST: Final = 4_000
"""Texts, thoughts and calls that may take turns in one answer, likewise."""

LOOKS_MOST: Final = 1_000
"""Deltas with its name for which a call's arguments are read, all of them each time."""


class _Function(Struct, frozen=True):
    name: str | None = None
    arguments: str | dict[str, object] | None = None


class _CallDelta(Struct, frozen=True):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    extra_content: object = None


class _Delta(Struct, frozen=True):
    content: str | list[dict[str, object]] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: object = None
    tool_calls: list[_CallDelta] | None = None


class _Choice(Struct, frozen=True):
    index: int | None = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(Struct, frozen=True):
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: object = None


class _Call:
    """A tool call that is being made. given: its id as it came; number: its index, None where none came."""

    def __init__(self, call: str, given: str, name: str, number: int | None) -> None:
        self.id = call
        self.given = given
        self.name = name
        self.number = number
        self.letters = Letters()
        self.text = ""
        self.extra: object = None
        self._looks = 0

    def is_written(self) -> bool:
        """Whether its arguments are whole, as far as that is looked at."""
        self._looks += 1
        is_closed = self._looks <= LOOKS_MOST and self.text.rstrip().endswith("}")
        return is_closed and not call_of("", "", self.text).malformed


class _Run:
    """Text or thinking, without a break. kind: which of them."""

    def __init__(self, kind: type[TextPiece | ThinkingPiece]) -> None:
        self.kind = kind
        self.letters = Letters()
        self.text = ""


class OpenAIReader:
    """See drivers/reading.py for the interface."""

    def __init__(self, provider: str, model: str, request: Request) -> None:
        self._provider = provider
        self._model = model
        self._request = request
        self._used = ids_in(request.messages)
        self._made: list[_Run | _Call] = []
        self._said = ""
        self._stop: str | None = None
        self._has_refused = False
        self._usage: object = None

    @property
    def is_whole(self) -> bool:
        """The reason to stop has come; only usage may follow."""
        return self._stop is not None

    def take(self, event: object) -> list[AnyPiece]:
        """The pieces of a chunk."""
        chunk = msgspec.convert(event, _Chunk)
        if chunk.model and not self._said:
            self._said = whole(chunk.model)
            saying.check_same_model(self._provider, self._model, self._said)
        self._usage = chunk.usage or self._usage
        pieces: list[AnyPiece] = []
        for choice in chunk.choices or ():
            if choice.index in (0, None):
                pieces += self._grow(choice.delta or _Delta())
                if choice.finish_reason:
                    pieces += self._finish(choice.finish_reason)
        return pieces

    def answer(self) -> Answer:
        """All of it."""
        told, notes = saying.stop_of(self._stop, _STOPS)
        parts: list[Text | Thinking | ToolCall] = []
        for made in self._made:
            if isinstance(made, _Run):
                if made.text and made.kind is TextPiece:
                    parts.append(Text(text=made.text))
                elif made.text:
                    parts.append(Thinking(text=made.text, provider=self._provider))
                continue
            call = call_of(made.id, made.name, made.text)
            if told is Stop.LENGTH and call.malformed:
                notes.append(saying.left_out(made.name))
                continue
            if made.extra is not None:
                parts.append(Thinking(seal=sealed(made.id, made.extra), provider=self._provider))
            parts.append(call)
        stop = saying.fitting(told, parts)
        if self._has_refused and Stop.TOOL not in (told, stop):
            stop = Stop.REFUSED
        return Answer(
            parts=tuple(parts),
            stop=stop,
            usage=self._used_up(parts),
            model=f"{self._provider}/{self._model}",
            said=self._said or self._model,
            notes=tuple(notes),
        )

    def _grow(self, delta: _Delta) -> list[AnyPiece]:
        pieces: list[AnyPiece] = []
        thought = delta.reasoning_content or (delta.reasoning if isinstance(delta.reasoning, str) else "")
        pieces += self._say(ThinkingPiece, thought)
        if isinstance(delta.content, list):
            for part in delta.content:
                pieces += self._part(part)
        else:
            pieces += self._say(TextPiece, delta.content or "")
        if delta.refusal:
            self._has_refused = True
            pieces += self._say(TextPiece, delta.refusal)
        for call in delta.tool_calls or ():
            pieces += self._call(call)
        return pieces

    def _part(self, part: dict[str, object]) -> list[AnyPiece]:
        """A part of a content that is a list: Mistral's way to tell thinking from text."""
        if isinstance(text := part.get("text"), str):
            return self._say(TextPiece, text)
        thoughts = part.get("thinking")
        found: list[AnyPiece] = []
        for one in thoughts if isinstance(thoughts, list) else ():
            if isinstance(one, dict) and isinstance(one.get("text"), str):
                found += self._say(ThinkingPiece, one["text"])
        return found

    def _say(self, kind: type[TextPiece | ThinkingPiece], text: str) -> list[AnyPiece]:
        if not text:
            return []
        pieces: list[AnyPiece] = []
        run = self._made[-1] if self._made else None
        if not isinstance(run, _Run) or run.kind is not kind:
            pieces += self._rest(run)
            if len(self._made) >= PARTS_MOST:
                raise self._endless(f"more than {PARTS_MOST:,} parts of one answer")
            run = _Run(kind)
            self._made.append(run)
        return [*pieces, *self._shown(run, run.letters.take(text))]

    def _call(self, delta: _CallDelta) -> list[AnyPiece]:
        function = delta.function or _Function()
        call = self._going_on(delta, function)
        pieces: list[AnyPiece] = []
        if call is None:
            if not function.name:
                raise self._malformed("a tool call that begins without a name")
            if len(self._made) >= CALLS_MOST and sum(isinstance(made, _Call) for made in self._made) >= CALLS_MOST:
                raise self._endless(f"more than {CALLS_MOST:,} tools that are asked for at once")
            pieces += self._rest(self._made[-1] if self._made else None)
            call = _Call(new_id(delta.id or "", self._used), delta.id or "", whole(function.name), delta.index)
            self._made.append(call)
            pieces.append(ToolPiece(id=call.id, name=call.name))
        call.given = call.given or delta.id or ""
        call.extra = delta.extra_content if delta.extra_content is not None else call.extra
        written = function.arguments or ""
        if isinstance(written, dict):
            written = msgspec.json.encode(written).decode()
        return [*pieces, *self._shown(call, call.letters.take(written))]

    def _going_on(self, delta: _CallDelta, function: _Function) -> _Call | None:
        """The call that a delta belongs to, None for a new one: another id or index, or a name after arguments were whole."""
        calls = [made for made in self._made if isinstance(made, _Call)]
        if delta.id and (same := [call for call in calls if call.given == delta.id and call.number == delta.index]):
            return same[-1]
        if delta.index is None:
            return None if delta.id or function.name or not calls else calls[-1]
        same = [call for call in calls if call.number == delta.index]
        if not same or (delta.id and (same[-1].given or function.name)):
            return None
        return None if function.name and same[-1].is_written() else same[-1]

    def _finish(self, reason: str) -> list[AnyPiece]:
        if reason in _BROKEN:
            why = f"{self._provider} gave its answer up: {reason}"
            raise ModelFailed(_BROKEN[reason], why, provider=self._provider)
        self._stop = whole(reason)
        return [piece for made in self._made for piece in self._rest(made)]

    def _rest(self, made: _Run | _Call | None) -> list[AnyPiece]:
        if made is None:
            return []
        rest = made.letters.rest()
        made.letters = Letters()
        return self._shown(made, rest)

    def _shown(self, made: _Run | _Call, text: str) -> list[AnyPiece]:
        made.text += text
        if not text:
            return []
        return [ToolPiece(id=made.id, arguments=text)] if isinstance(made, _Call) else [made.kind(text=text)]

    def _used_up(self, parts: list[Text | Thinking | ToolCall]) -> Usage:
        if (found := usage(self._usage)) is not None:
            return found
        return saying.estimated(self._request, parts)

    def _endless(self, what: str) -> ModelFailed:
        return saying.endless(self._provider, what)

    def _malformed(self, what: str) -> ModelFailed:
        return saying.malformed(self._provider, what)


def usage(told: object, *, made: bool = True) -> Usage | None:
    """Each token in one field; None where the tokens of the prompt are not told, or for numbers that no answer takes.

    `prompt_tokens` counts what was read from the cache too. Where thinking is in the total only (xAI, Google), it is output
    too. made: the tokens of an answer must be told, as well.
    """
    numbers = _numbers(told)
    prompt, output, details = numbers.get("prompt_tokens"), numbers.get("completion_tokens"), _details(told)
    if prompt is None or prompt < 0 or (output is None and made) or (output or 0) < 0:
        return None
    cached = details.get("cached_tokens") or numbers.get("prompt_cache_hit_tokens") or numbers.get("cached_tokens") or 0
    cached, written = max(0, cached), max(0, details.get("cache_write_tokens") or 0)
    found = Usage(
        input=max(0, prompt - cached - written),
        cached=cached,
        cache_written=written,
        output=max(output or 0, numbers.get("total_tokens", 0) - prompt),
    )
    return found if found.total <= TOLD_MOST else None


def _details(told: object) -> dict[str, int]:
    return _numbers(told.get("prompt_tokens_details")) if isinstance(told, dict) else {}


def _numbers(told: object) -> dict[str, int]:
    """The numbers of tokens that a table tells by their names."""
    rows = told.items() if isinstance(told, dict) else ()
    return {str(name): number for name, one in rows if (number := count(one)) is not None}
