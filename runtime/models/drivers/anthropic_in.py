"""Reads Anthropic's stream of events into pieces and an Answer (pure).

Source: platform.claude.com/docs/en/build-with-claude/streaming. A message starts; its blocks start, grow and stop; then come
the message's stop reason and usage, and its end. Unknown kinds of events and blocks are ignored, as that page asks; a block
that grows or stops without having started is ModelFailed("malformed").
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from runtime.models.drivers import answers, bounding
from runtime.models.drivers.answers import TOKENS_MOST, ids_in, new_id, parse_call, parse_count
from runtime.models.drivers.anthropic_out import REDACTED
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
    "end_turn": Stop.END,
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "pause_turn": Stop.END,
    "refusal": Stop.REFUSED,
    "stop_sequence": Stop.SEQUENCE,
    "tool_use": Stop.TOOL,
}

COUNTS: Final = frozenset({"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"})
"""Fields of usage. input_tokens: those that came from no cache."""


class Begun(Struct, frozen=True):
    """A message at its start."""

    model: str | None = None
    usage: object = None


class Block(Struct, frozen=True):
    """A block at its start."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, object] = {}


class Delta(Struct, frozen=True):
    """What a block grows by, or the stop reason of the message."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class Event(Struct, frozen=True):
    """An event of any type."""

    type: str
    message: Begun | None = None
    index: int | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: object = None


class _OpenBlock:
    """A block as received so far. id: of a tool call."""

    def __init__(self, kind: Literal["text", "thinking", "redacted", "tool", "other"], call: str, block: Block) -> None:
        self.kind = kind
        self.id = call
        self.block = block
        self.joiner = SurrogateJoiner()
        self.text = ""
        self.name = well_formed(block.name)
        self.seal = block.signature
        self.is_open = True


class AnthropicReader:
    """See drivers/reading.py for the interface."""

    def __init__(self, provider: str, model: str, request: Request) -> None:
        self._provider = provider
        self._model = model
        self._request = request
        self._used_ids = ids_in(request.messages)
        self._blocks: dict[int, _OpenBlock] = {}
        self._said: str | None = None
        self._stop: str | None = None
        self._counts: dict[str, int] = {}

    @property
    def is_whole(self) -> bool:
        """Whether the stop reason has come, after which only the end of the message follows."""
        return self._stop is not None

    def take(self, event: object) -> list[AnyPiece]:
        """Return the pieces of an event."""
        parsed = msgspec.convert(event, Event)
        match parsed.type:
            case "message_start":
                self._start_message(parsed.message)
            case "content_block_start":
                return self._start_block(parsed.index, parsed.content_block)
            case "content_block_delta":
                return self._grow_block(self._find_block(parsed), parsed.delta or Delta())
            case "content_block_stop":
                return self._stop_block(self._find_block(parsed))
            case "message_delta":
                self._add_counts(parsed.usage)
                reason = parsed.delta.stop_reason if parsed.delta else None
                self._stop = well_formed(reason or "") or self._stop
        return []

    def answer(self) -> Answer:
        """Return the whole answer."""
        stop, notes = answers.parse_stop(self._stop, _STOPS)
        parts: list[Text | Thinking | ToolCall] = []
        for block in self._blocks.values():
            written = "" if block.is_open else block.text
            if block.kind == "tool" and (note := answers.left_out_note(stop, _make_call(block), written)):
                notes.append(note)
            else:
                parts += self._make_parts(block)
        return Answer(
            parts=tuple(parts),
            stop=answers.consistent_stop(stop, parts),
            usage=self._make_usage(parts),
            model=f"{self._provider}/{self._model}",
            said=self._said or self._model,
            notes=tuple(notes),
        )

    def _start_message(self, message: Begun | None) -> None:
        if message is None or self._said is not None:
            raise self._malformed("its message starts twice, or not at all")
        self._said = well_formed(message.model or "")
        answers.check_same_model(self._provider, self._model, self._said)
        self._add_counts(message.usage)

    def _start_block(self, index: int | None, block: Block | None) -> list[AnyPiece]:
        if index is None or block is None or index in self._blocks or self._said is None:
            raise self._malformed("a part starts out of order")
        match block.type:
            case "text":
                opened = self._blocks[index] = _OpenBlock("text", "", block)
                return self._add_text(opened, block.text)
            case "thinking":
                opened = self._blocks[index] = _OpenBlock("thinking", "", block)
                return self._add_text(opened, block.thinking)
            case "redacted_thinking":
                opened = self._blocks[index] = _OpenBlock("redacted", "", block)
                opened.seal = REDACTED + block.data
            case "tool_use":
                if not block.name:
                    raise self._malformed("a tool without a name")
                call = new_id(block.id, self._used_ids)
                self._blocks[index] = _OpenBlock("tool", call, block)
                return [ToolPiece(id=call, name=well_formed(block.name))]
            case _:
                self._blocks[index] = _OpenBlock("other", "", block)
        return []

    def _grow_block(self, block: _OpenBlock, delta: Delta) -> list[AnyPiece]:
        if block.kind in ("text", "thinking") and block is not next(reversed(self._blocks.values())):
            raise self._malformed("a part grows after the next one has started")
        match delta.type, block.kind:
            case ("text_delta", "text"):
                return self._add_text(block, delta.text)
            case ("thinking_delta", "thinking"):
                return self._add_text(block, delta.thinking)
            case ("signature_delta", "thinking"):
                block.seal += delta.signature
                if len(block.seal) > bounding.ANSWER:
                    raise answers.endless(self._provider, bounding.TOO_MUCH)
            case ("input_json_delta", "tool"):
                return self._add_text(block, delta.partial_json)
            case ("text_delta" | "thinking_delta" | "signature_delta" | "input_json_delta", kind) if kind != "other":
                raise self._malformed(f"a {delta.type} within a part of another kind")
        return []

    def _stop_block(self, block: _OpenBlock) -> list[AnyPiece]:
        block.is_open = False
        if block.kind == "tool" and not block.text and block.block.input:
            return self._add_text(block, msgspec.json.encode(block.block.input).decode())
        return self._append(block, block.joiner.rest())

    def _add_text(self, block: _OpenBlock, text: str) -> list[AnyPiece]:
        return self._append(block, block.joiner.take(text))

    def _append(self, block: _OpenBlock, text: str) -> list[AnyPiece]:
        block.text += text
        if not text:
            return []
        if block.kind == "tool":
            return [ToolPiece(id=block.id, arguments=text)]
        return [TextPiece(text=text) if block.kind == "text" else ThinkingPiece(text=text)]

    def _find_block(self, event: Event) -> _OpenBlock:
        block = self._blocks.get(-1 if event.index is None else event.index)
        if block is None or not block.is_open:
            raise self._malformed("a part goes on that has not started")
        return block

    def _make_parts(self, block: _OpenBlock) -> list[Text | Thinking | ToolCall]:
        match block.kind:
            case "text":
                return [Text(text=block.text)] if block.text else []
            case "thinking" | "redacted":
                is_any = block.text or block.seal
                return (
                    [Thinking(text=block.text, seal=well_formed(block.seal), provider=self._provider)] if is_any else []
                )
            case "tool":
                return [_make_call(block)]
        return []

    def _add_counts(self, usage: object) -> None:
        """Take the counts of tokens that an event has."""
        rows = usage if isinstance(usage, dict) else {}
        self._counts |= {name: number for name in COUNTS if (number := parse_count(rows.get(name))) is not None}

    def _make_usage(self, parts: list[Text | Thinking | ToolCall]) -> Usage:
        counts = self._counts
        is_counted = counts.keys() >= {"output_tokens", "input_tokens"} and min(counts.values()) >= 0
        if not is_counted or sum(counts.values()) > TOKENS_MOST:
            return answers.estimate_usage(self._request, parts)
        return Usage(
            input=counts["input_tokens"],
            cached=counts.get("cache_read_input_tokens", 0),
            cache_written=counts.get("cache_creation_input_tokens", 0),
            output=counts["output_tokens"],
        )

    def _malformed(self, what: str) -> ModelFailed:
        return answers.malformed(self._provider, what)


def _make_call(block: _OpenBlock) -> ToolCall:
    return parse_call(block.id, block.name, block.text)
