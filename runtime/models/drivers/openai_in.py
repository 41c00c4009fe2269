"""Reads a stream of Chat Completions into pieces and an Answer (pure). Source: developers.openai.com/api/reference, chunks.

Services differ from it and from one another. Accepted are: calls without an id or with a repeated one (a new one is made), or
without an index; arguments as an object; thinking as `reasoning_content`, as `reasoning` or as a part of the content; usage
with the last delta, after it, or not at all (it is estimated then); a stop reason that contradicts the calls.
"""

from typing import Final

import msgspec
from msgspec import Struct

from runtime.models.drivers import answers
from runtime.models.drivers.answers import TOKENS_MOST, ids_in, new_id, parse_call, parse_count
from runtime.models.drivers.openai_out import seal_extra
from runtime.models.failures import ModelFailed
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
from runtime.models.surrogates import SurrogateJoiner, well_formed

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
"""Stop reasons that are failures: OpenRouter's, DeepSeek's, Z.AI's."""

CALLS_MOST: Final = 1_000
"""Calls of one answer, at most: each delta searches all of them."""

PARTS_MOST: Final = 4_000
"""Texts, thoughts and calls of one answer, at most, for the same reason."""

CHECKS_MOST: Final = 1_000
"""How often it is checked whether a call's arguments are complete, which parses all of them each time."""


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
    """A tool call as received so far. given_id: its id as it came. index: None if none came."""

    def __init__(self, call: str, given_id: str, name: str, index: int | None) -> None:
        self.id = call
        self.given_id = given_id
        self.name = name
        self.index = index
        self.joiner = SurrogateJoiner()
        self.text = ""
        self.extra: object = None
        self._checks = 0

    def has_whole_arguments(self) -> bool:
        """Return whether its arguments are a complete object; after CHECKS_MOST checks always False."""
        self._checks += 1
        is_closed = self._checks <= CHECKS_MOST and self.text.rstrip().endswith("}")
        return is_closed and not parse_call("", "", self.text).malformed


class _TextRun:
    """Uninterrupted text or thinking. kind: which of them."""

    def __init__(self, kind: type[TextPiece | ThinkingPiece]) -> None:
        self.kind = kind
        self.joiner = SurrogateJoiner()
        self.text = ""


class OpenAIReader:
    """See drivers/reading.py for the interface."""

    def __init__(self, provider: str, model: str, request: Request) -> None:
        self._provider = provider
        self._model = model
        self._request = request
        self._used_ids = ids_in(request.messages)
        self._made: list[_TextRun | _Call] = []
        self._said = ""
        self._stop: str | None = None
        self._has_refused = False
        self._usage: object = None

    @property
    def is_whole(self) -> bool:
        """Whether the stop reason has come, after which only usage may follow."""
        return self._stop is not None

    def take(self, event: object) -> list[AnyPiece]:
        """Return the pieces of a chunk."""
        chunk = msgspec.convert(event, _Chunk)
        if chunk.model and not self._said:
            self._said = well_formed(chunk.model)
            answers.check_same_model(self._provider, self._model, self._said)
        self._usage = chunk.usage or self._usage
        pieces: list[AnyPiece] = []
        for choice in chunk.choices or ():
            if choice.index in (0, None):
                pieces += self._take_delta(choice.delta or _Delta())
                if choice.finish_reason:
                    pieces += self._finish(choice.finish_reason)
        return pieces

    def answer(self) -> Answer:
        """Return the whole answer."""
        reported, notes = answers.parse_stop(self._stop, _STOPS)
        parts: list[Text | Thinking | ToolCall] = []
        for made in self._made:
            if isinstance(made, _TextRun):
                if made.text and made.kind is TextPiece:
                    parts.append(Text(text=made.text))
                elif made.text:
                    parts.append(Thinking(text=made.text, provider=self._provider))
                continue
            call = parse_call(made.id, made.name, made.text)
            if note := answers.left_out_note(reported, call, made.text):
                notes.append(note)
                continue
            if made.extra is not None:
                parts.append(Thinking(seal=seal_extra(made.id, made.extra), provider=self._provider))
            parts.append(call)
        stop = answers.consistent_stop(reported, parts)
        if self._has_refused and Stop.TOOL not in (reported, stop):
            stop = Stop.REFUSED
        return Answer(
            parts=tuple(parts),
            stop=stop,
            usage=self._make_usage(parts),
            model=f"{self._provider}/{self._model}",
            said=self._said or self._model,
            notes=tuple(notes),
        )

    def _take_delta(self, delta: _Delta) -> list[AnyPiece]:
        pieces: list[AnyPiece] = []
        thought = delta.reasoning_content or (delta.reasoning if isinstance(delta.reasoning, str) else "")
        pieces += self._add_text(ThinkingPiece, thought)
        if isinstance(delta.content, list):
            for part in delta.content:
                pieces += self._take_part(part)
        else:
            pieces += self._add_text(TextPiece, delta.content or "")
        if delta.refusal:
            self._has_refused = True
            pieces += self._add_text(TextPiece, delta.refusal)
        for call in delta.tool_calls or ():
            pieces += self._take_call(call)
        return pieces

    def _take_part(self, part: dict[str, object]) -> list[AnyPiece]:
        """Take a part of content that is a list: so Mistral separates thinking from text."""
        if isinstance(text := part.get("text"), str):
            return self._add_text(TextPiece, text)
        thoughts = part.get("thinking")
        found: list[AnyPiece] = []
        for one in thoughts if isinstance(thoughts, list) else ():
            if isinstance(one, dict) and isinstance(one.get("text"), str):
                found += self._add_text(ThinkingPiece, one["text"])
        return found

    def _add_text(self, kind: type[TextPiece | ThinkingPiece], text: str) -> list[AnyPiece]:
        if not text:
            return []
        pieces: list[AnyPiece] = []
        run = self._made[-1] if self._made else None
        if not isinstance(run, _TextRun) or run.kind is not kind:
            pieces += self._flush(run)
            if len(self._made) >= PARTS_MOST:
                raise self._endless(f"more than {PARTS_MOST:,} parts in one answer")
            run = _TextRun(kind)
            self._made.append(run)
        return [*pieces, *self._append(run, run.joiner.take(text))]

    def _take_call(self, delta: _CallDelta) -> list[AnyPiece]:
        function = delta.function or _Function()
        call = self._find_call(delta, function)
        pieces: list[AnyPiece] = []
        if call is None:
            if not function.name:
                raise self._malformed("a tool call starts without a name")
            if len(self._made) >= CALLS_MOST and sum(isinstance(made, _Call) for made in self._made) >= CALLS_MOST:
                raise self._endless(f"more than {CALLS_MOST:,} tool calls in one answer")
            pieces += self._flush(self._made[-1] if self._made else None)
            call = _Call(
                new_id(delta.id or "", self._used_ids), delta.id or "", well_formed(function.name), delta.index
            )
            self._made.append(call)
            pieces.append(ToolPiece(id=call.id, name=call.name))
        call.given_id = call.given_id or delta.id or ""
        call.extra = delta.extra_content if delta.extra_content is not None else call.extra
        written = function.arguments or ""
        if isinstance(written, dict):
            written = msgspec.json.encode(written).decode()
        return [*pieces, *self._append(call, call.joiner.take(written))]

    def _find_call(self, delta: _CallDelta, function: _Function) -> _Call | None:
        """Return the call that a delta belongs to; None for a new one: a new id or index, or a name after whole arguments."""
        calls = [made for made in self._made if isinstance(made, _Call)]
        if delta.id and (same := [call for call in calls if call.given_id == delta.id and call.index == delta.index]):
            return same[-1]
        if delta.index is None:
            return None if delta.id or function.name or not calls else calls[-1]
        same = [call for call in calls if call.index == delta.index]
        if not same or (delta.id and (same[-1].given_id or function.name)):
            return None
        return None if function.name and same[-1].has_whole_arguments() else same[-1]

    def _finish(self, reason: str) -> list[AnyPiece]:
        if reason in _BROKEN:
            why = f"{self._provider} gave up its answer: {reason}"
            raise ModelFailed(_BROKEN[reason], why, provider=self._provider)
        self._stop = well_formed(reason)
        return [piece for made in self._made for piece in self._flush(made)]

    def _flush(self, made: _TextRun | _Call | None) -> list[AnyPiece]:
        if made is None:
            return []
        rest = made.joiner.rest()
        made.joiner = SurrogateJoiner()
        return self._append(made, rest)

    def _append(self, made: _TextRun | _Call, text: str) -> list[AnyPiece]:
        made.text += text
        if not text:
            return []
        return [ToolPiece(id=made.id, arguments=text)] if isinstance(made, _Call) else [made.kind(text=text)]

    def _make_usage(self, parts: list[Text | Thinking | ToolCall]) -> Usage:
        if (reported := parse_usage(self._usage)) is not None:
            return reported
        return answers.estimate_usage(self._request, parts)

    def _endless(self, what: str) -> ModelFailed:
        return answers.endless(self._provider, what)

    def _malformed(self, what: str) -> ModelFailed:
        return answers.malformed(self._provider, what)


def parse_usage(usage: object, *, needs_output: bool = True) -> Usage | None:
    """Return the usage with each token in one field; None if the prompt's tokens are missing, or for impossible numbers.

    `prompt_tokens` includes what was read from the cache. If thinking is in the total only (xAI, Google), it counts as
    output. needs_output: None is returned too if the answer's tokens are missing.
    """
    numbers = _parse_counts(usage)
    details = _parse_counts(usage.get("prompt_tokens_details")) if isinstance(usage, dict) else {}
    prompt, output = numbers.get("prompt_tokens"), numbers.get("completion_tokens")
    if prompt is None or prompt < 0 or (output is None and needs_output) or (output or 0) < 0:
        return None
    cached = details.get("cached_tokens") or numbers.get("prompt_cache_hit_tokens") or numbers.get("cached_tokens") or 0
    cached, written = max(0, cached), max(0, details.get("cache_write_tokens") or 0)
    found = Usage(
        input=max(0, prompt - cached - written),
        cached=cached,
        cache_written=written,
        output=max(output or 0, numbers.get("total_tokens", 0) - prompt),
    )
    return found if found.total <= TOKENS_MOST else None


def _parse_counts(table: object) -> dict[str, int]:
    """Return the fields of a table that are numbers of tokens."""
    rows = table.items() if isinstance(table, dict) else ()
    return {str(name): number for name, one in rows if (number := parse_count(one)) is not None}
