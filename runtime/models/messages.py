"""Requests to a model, its answers, and the pieces in which an answer comes (pure): the types that all drivers share.

They are also the wire format: `model.complete` takes a Request's fields as its params and returns those of an Answer; a chunk
of `model.stream` is the msgpack of a list of pieces (`pack`, `unpack`), and that stream's reply is the Answer. In JSON, bytes
are base64. ToolResults stand in user messages, each after the assistant message with its ToolCall.

Contract of an Answer: its parts are in the order in which the model made them; `stop` is TOOL exactly if there are ToolCalls
for the caller to make; a broken answer is never an Answer but failures.ModelFailed.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from manifests.agent_task import Task, ToolName
from wire.errors import CodecError

T = TypeVar("T")
Tokens = Annotated[int, Meta(ge=0)]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """A part of a message."""


class Text(Part, frozen=True, kw_only=True, tag="text"):
    """Text."""

    text: str


class Image(Part, frozen=True, kw_only=True, tag="image"):
    """A picture, within the request: no provider is asked to fetch one."""

    media: Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
    content: bytes


class Thinking(Part, frozen=True, kw_only=True, tag="thinking"):
    """The model's thinking before its answer. It is sent back unchanged in the next request, to the same provider only.

    text: as much as is shown. seal: the provider's signature or hidden form of it, opaque. provider: the one that made it.
    """

    text: str = ""
    seal: str = ""
    provider: str = ""


class ToolCall(Part, frozen=True, kw_only=True, tag="tool_call"):
    """The model asks for a tool. id: unique in the conversation; if the provider gives none, the driver makes one.

    malformed: what the model wrote in place of a JSON object; arguments is empty then.
    """

    id: str
    name: str
    arguments: dict[str, object] = {}
    malformed: str = ""


class ToolResult(Part, frozen=True, kw_only=True, tag="tool_result"):
    """The result of a ToolCall. id: of that call. failed: the text says what went wrong."""

    id: str
    content: tuple[Text | Image, ...] = ()
    failed: bool = False


AnyPart: TypeAlias = Text | Image | Thinking | ToolCall | ToolResult


class Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One turn: Text, Image and ToolResult by the user, Text, Thinking and ToolCall by the assistant."""

    role: Literal["user", "assistant"]
    parts: tuple[AnyPart, ...]


class Tool(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool that the model may ask for. parameters: a JSON Schema of type object, {} for none."""

    name: ToolName
    description: str = ""
    parameters: dict[str, object] = {}


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request to a model.

    choice: `auto`, `none`, `any` (the model must ask for some tool), or the name of the one tool it must ask for. parallel:
    it may ask for several tools at once. schema: the answer's text must be JSON that matches it; Answer.value is that value,
    checked. most: tokens of the answer, 0 for the model's default. thinking: how much, "" for the model's default, `off` for
    none if it can be switched off. cache: the provider may cache what the next request begins with, if it can.
    """

    messages: Annotated[tuple[Message, ...], Meta(min_length=1)]
    system: str = ""
    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    parallel: bool = True
    schema: dict[str, object] | None = None
    most: Tokens = 0
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    stop: Annotated[tuple[str, ...], Meta(max_length=4)] = ()
    thinking: Literal["", "off", "low", "medium", "high"] = ""
    cache: bool = True
    task: Task | None = None


class Stop(StrEnum):
    """Why a model stopped."""

    END = "end"
    LENGTH = "length"
    TOOL = "tool"
    SEQUENCE = "sequence"
    REFUSED = "refused"


class Usage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tokens, each counted in one field only: read anew, read from a cache, written into one, and made.

    output includes thinking. estimated: the provider reported none, so `counting` estimated them.
    """

    input: Tokens = 0
    cached: Tokens = 0
    cache_written: Tokens = 0
    output: Tokens = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        """All of them."""
        return self.input + self.cached + self.cache_written + self.output


class Answer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model's answer. model: PROVIDER/MODEL as asked; said: the name that the provider answered with.

    value: if the request has a schema, the answer checked against it. notes: what a reader must know, such as that no
    language model was used. micro_dollars: the cost; a driver leaves it 0, the Hand `model` computes it. tried: the models of
    a route that were asked before this one, each as `PROVIDER/MODEL: code`.
    """

    parts: tuple[Text | Thinking | ToolCall, ...] = ()
    stop: Stop = Stop.END
    usage: Usage = Usage()
    model: str = ""
    said: str = ""
    value: object = None
    notes: tuple[str, ...] = ()
    micro_dollars: int = 0
    tried: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All its text, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls that it asks for."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


class Piece(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """A piece of a stream. None is empty: an empty delta of a provider yields no piece."""


class TextPiece(Piece, frozen=True, kw_only=True, tag="text"):
    """More text."""

    text: str


class ThinkingPiece(Piece, frozen=True, kw_only=True, tag="thinking"):
    """More thinking, to show; its seal comes in the Answer only."""

    text: str


class ToolPiece(Piece, frozen=True, kw_only=True, tag="tool"):
    """More of a tool call. The first piece of a call has its name, all have its id. arguments: more of their JSON."""

    id: str
    name: str = ""
    arguments: str = ""


AnyPiece: TypeAlias = TextPiece | ThinkingPiece | ToolPiece


class Embedded(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Vectors of texts, in their order. model: as it was asked for; vectors of different models must not be compared.

    The name that the provider answers with is not used: some answer with one name now and with another later.
    """

    vectors: tuple[tuple[float, ...], ...]
    model: str
    usage: Usage = Usage()


class Listed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that a provider says it offers. window: in tokens, 0 if it did not say."""

    id: str
    window: Tokens = 0


_pieces: Final[msgspec.msgpack.Decoder[list[AnyPiece]]] = msgspec.msgpack.Decoder(list[AnyPiece])
_encoder: Final = msgspec.msgpack.Encoder()


def pack(pieces: Sequence[AnyPiece]) -> bytes:
    """Return the pieces as a chunk of `model.stream`."""
    return _encoder.encode(pieces)


def unpack(chunk: bytes) -> list[AnyPiece]:
    """Return the pieces of a chunk. Raises CodecError for bytes that are not such a chunk."""
    try:
        return _pieces.decode(chunk)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(f"not a chunk of pieces: {error}") from None


def parse_request(params: dict[str, object]) -> Request:
    """Return a Request from a call's params. Raises CodecError, which says what is wrong with them."""
    return _converted(params, Request)


def parse_answer(reply: object) -> Answer:
    """Return an Answer from a call's reply. Raises CodecError, which says what is wrong with it."""
    return _converted(reply, Answer)


def _converted(value: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise CodecError(f"not {'a request' if kind is Request else 'an answer'}: {error}") from None
