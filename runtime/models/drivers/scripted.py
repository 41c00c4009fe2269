"""The driver `scripted`: plays a script instead of asking a model, for tests, recordings and rehearsals (acts: waits).

A script is JSON lines, a Turn each; empty lines and lines that begin with # are skipped. A request is answered by the
first turn that has been played fewer than `times` times and matches: `when` occurs in the text of the request's last
message or in its system prompt, and the conversation has `at` answers of a model so far. The counts of plays end with
the driver; a script whose turns all have `at` and `times = 0` needs no counts, so its player may be killed at any time.

    {"at": 0, "text": "I look.", "calls": [{"name": "files_read", "arguments": {"path": "reports/a.csv"}}]}
    {"at": 1, "when": "sunny", "text": "It was sunny.", "usage": {"input": 900, "output": 12}}
    {"error": {"code": "limited", "text": "too many", "after": 0.1}, "times": 2}
    {"text": "Cut in the middle", "shown": 1, "error": {"code": "cut", "text": "the connection was lost"}}
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from runtime.models import counting
from runtime.models.drivers import Endpoint
from runtime.models.failures import KINDS, ModelFailed
from runtime.models.messages import (
    Answer,
    AnyPiece,
    Embedded,
    Listed,
    Message,
    Request,
    Stop,
    Text,
    TextPiece,
    Thinking,
    ThinkingPiece,
    ToolCall,
    ToolPiece,
    ToolResult,
    Usage,
)  # fmt: skip

Seconds = Annotated[float, Meta(ge=0, le=3600)]


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool call of a turn. id: "" to make one from the turn's place in the script."""

    name: str
    arguments: dict[str, object] = {}
    id: str = ""


class Error(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a turn fails. code: a row of failures.KINDS. after: seconds, as in Retry-After."""

    code: str
    text: str = "the script says so"
    after: Seconds | None = None


class Turn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to one request. times: how often it is played, 0 for no bound.

    delay, gap: seconds before its first piece, and between two. usage: estimated if left out. stop: follows from the
    calls if left out. error: it fails after `shown` pieces.
    """

    when: str = ""
    at: int | None = None
    times: int = 1
    thinking: str = ""
    text: str = ""
    calls: tuple[Asked, ...] = ()
    stop: Stop | None = None
    usage: Usage | None = None
    delay: Seconds = 0
    gap: Seconds = 0
    error: Error | None = None
    shown: int = 0


class Scripted:
    """See drivers/__init__.py for the interface. options["script"] is the script's text."""

    counts = False

    def __init__(self, endpoint: Endpoint) -> None:
        self._provider = endpoint.provider
        self._text = endpoint.options.get("script", "")
        self._turns: tuple[Turn, ...] | None = None
        self._played: dict[int, int] = {}

    async def stream(self, model: str, request: Request) -> AsyncIterator[AnyPiece | Answer]:
        """Yield the pieces of the turn that matches, then its answer."""
        place, turn = self._find_turn(request)
        self._played[place] = self._played.get(place, 0) + 1
        await asyncio.sleep(turn.delay)
        calls = tuple(
            ToolCall(id=one.id or f"call-{place}-{number}", name=one.name, arguments=one.arguments)
            for number, one in enumerate(turn.calls)
        )
        for number, piece in enumerate(_pieces(turn, calls)):
            if turn.error is not None and number == turn.shown:
                raise self._failed(turn.error)
            if number:
                await asyncio.sleep(turn.gap)
            yield piece
        if turn.error is not None:
            raise self._failed(turn.error)
        thoughts = (Thinking(text=turn.thinking, provider=self._provider),) if turn.thinking else ()
        texts = (Text(text=turn.text),) if turn.text else ()
        output = counting.of_message(Message(role="assistant", parts=(*thoughts, *texts, *calls)))
        yield Answer(
            parts=(*thoughts, *texts, *calls),
            stop=turn.stop or (Stop.TOOL if calls else Stop.END),
            usage=turn.usage or Usage(input=counting.of_request(request), output=output, estimated=True),
            model=f"{self._provider}/{model}",
            said=model,
        )

    async def embed(self, model: str, texts: Sequence[str]) -> Embedded:
        """Raise ModelFailed: a script has no vectors."""
        raise ModelFailed("unfit", "a script makes no vectors", provider=self._provider)

    async def list_models(self) -> tuple[Listed, ...]:
        """Return its one model; any other name works too."""
        return (Listed(id="script"),)

    async def count(self, model: str, request: Request) -> int | None:
        """Return None: a script counts no tokens."""
        return None

    async def close(self) -> None:
        """Do nothing: no connection is open."""

    def _find_turn(self, request: Request) -> tuple[int, Turn]:
        if self._turns is None:
            self._turns = self._parse()
        answers = sum(message.role == "assistant" for message in request.messages)
        seen = f"{request.system}\n{_words(request.messages[-1])}"
        for place, turn in enumerate(self._turns):
            is_left = not turn.times or self._played.get(place, 0) < turn.times
            if is_left and turn.at in (None, answers) and turn.when in seen:
                return place, turn
        raise ModelFailed(
            "request",
            f"the script has no turn left for a conversation with {answers} answers; it has {len(self._turns)} turns",
            provider=self._provider,
        )

    def _parse(self) -> tuple[Turn, ...]:
        turns = []
        for number, line in enumerate(self._text.split("\n"), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            try:
                turn = msgspec.json.decode(line, type=Turn)
            except (msgspec.MsgspecError, RecursionError) as error:
                why = f"line {number} of the script is not a turn: {error}"
                raise ModelFailed("unconfigured", why, provider=self._provider) from None
            if turn.error is not None and turn.error.code not in KINDS:
                why = f'line {number} of the script: there is no failure code "{turn.error.code}"'
                raise ModelFailed("unconfigured", why, provider=self._provider)
            turns.append(turn)
        return tuple(turns)

    def _failed(self, error: Error) -> ModelFailed:
        return ModelFailed(error.code, error.text, after=error.after, provider=self._provider)


def _pieces(turn: Turn, calls: tuple[ToolCall, ...]) -> list[AnyPiece]:
    found: list[AnyPiece] = [ThinkingPiece(text=word) for word in _cut(turn.thinking)]
    found += [TextPiece(text=word) for word in _cut(turn.text)]
    for call in calls:
        found.append(ToolPiece(id=call.id, name=call.name))
        found.append(ToolPiece(id=call.id, arguments=msgspec.json.encode(call.arguments).decode()))
    return found


def _cut(text: str) -> list[str]:
    """Return a text in pieces of one word, each with the white space around it."""
    return re.findall(r"\s*\S+\s*|\s+", text)


def _words(message: Message) -> str:
    found = []
    for part in message.parts:
        if isinstance(part, Text):
            found.append(part.text)
        elif isinstance(part, ToolResult):
            found += [one.text for one in part.content if isinstance(one, Text)]
    return "\n".join(found)
