"""What is asked of a model, what it answers, and the pieces in which an answer comes (pure): the types all drivers share.

They travel as they are: `model.complete` takes a Request's fields as its params and returns those of an Answer; a chunk of
`model.stream` is the msgpack of a list of pieces (`packed`, `unpacked`), and that stream's reply is the Answer. In JSON bytes
are base64. A Request's ToolResults stand in user messages, each after the assistant message that has its ToolCall.

Contract of an Answer: the parts are in the order in which the model made them; `stop` is TOOL exactly when there are
ToolCalls for the caller to make; what came of a broken answer is never an Answer but failures.ModelFailed.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from wire.errors import CodecError

T = TypeVar("T")
Tokens = Annotated[int, Meta(ge=0)]
TOOL_NAME: Final = r"^[a-zA-Z0-9_-]{1,64}\Z"
"""What every provider takes as a tool's name. Whoever offers methods as tools finds names for them (`web_fetch`)."""

ToolName = Annotated[str, Meta(pattern=TOOL_NAME)]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What messages are made of."""


class Text(Part, frozen=True, kw_only=True, tag="text"):
    """Text."""

    text: str


class Image(Part, frozen=True, kw_only=True, tag="image"):
    """A picture, in the request itself: no provider is told to fetch one. media: such as image/png."""

    media: Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
    content: bytes


class Thinking(Part, frozen=True, kw_only=True, tag="thinking"):
    """What the model thought before it answered. It is sent back unchanged in the next request, to the same provider only.

    text: as far as it is shown. seal: the provider's own proof or hidden form of it, opaque. provider: whose it is.
    """

    text: str = ""
    seal: str = ""
    provider: str = ""


class ToolCall(Part, frozen=True, kw_only=True, tag="tool_call"):
    """The model asks for a tool. id: unique within the conversation; where a provider gives none, the driver makes it.

    malformed: what the model wrote instead of arguments that are a JSON object; arguments is empty then.
    """

    id: str
    name: str
    arguments: dict[str, object] = {}
    malformed: str = ""


class ToolResult(Part, frozen=True, kw_only=True, tag="tool_result"):
    """What came of a ToolCall. failed: the text says what went wrong."""

    id: str
    content: tuple[Text | Image, ...] = ()
    failed: bool = False


AnyPart: TypeAlias = Text | Image | Thinking | ToolCall | ToolResult


class Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One turn: Text, Image and ToolResult by the user, Text, Thinking and ToolCall by the assistant."""

    role: Literal["user", "assistant"]
    parts: tuple[AnyPart, ...]


class Tool(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the model may ask for. parameters: a JSON Schema of type object, {} for none."""

    name: ToolName
    description: str = ""
    parameters: dict[str, object] = {}


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step of a task of the kind `steps`: a tool, and its arguments. drivers/offline_steps.py says how they are filled."""

    tool: ToolName
    arguments: dict[str, object] = {}


TaskKind = Literal["summarise", "extract", "classify", "rank", "fill", "steps"]


class Task(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the request is for, so that a driver without a language model can do it too; the others go by the messages.

    text: what it is done on, "" for the text of the last user message. query: what `extract` and `rank` look for. among:
    the labels of `classify`, the texts of `rank`. most: sentences of `summarise` and `extract`, 0 for the driver's own
    measure. steps: of `steps`. `fill` fills the request's schema.
    """

    kind: TaskKind
    text: str = ""
    query: str = ""
    among: tuple[str, ...] = ()
    most: Annotated[int, Meta(ge=0, le=1000)] = 0
    steps: tuple[Step, ...] = ()


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question to a model.

    choice: `auto`, `none`, `any` (some tool must be asked for), or the name of the one tool that must be. parallel: several
    tools may be asked for at once. schema: the answer's text is to be JSON of this schema; Answer.value is that, checked.
    most: tokens of the answer, 0 for the model's own measure. thinking: how much, "" for the model's own measure, `off` for
    none where it can be switched off. cache: the provider may keep what is the same in the next request, where it can.
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
    """Why a model said no more."""

    END = "end"
    LENGTH = "length"
    TOOL = "tool"
    SEQUENCE = "sequence"
    REFUSED = "refused"


class Usage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tokens, each counted in one field only: what was read anew, read from a cache, written into one, and made.

    output counts thinking too. estimated: the provider told none, and they were counted by `counting` instead.
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
    """What a model answered. model: PROVIDER/MODEL as it was asked; said: what the provider calls it itself.

    value: of a request with a schema, what was answered, checked against it. notes: what a reader must know, such as that no
    language model was used. micro_dollars: what it cost; a driver leaves it 0, the Hand `model` works it out. tried: the
    models of a route that were asked before this one, each as `PROVIDER/MODEL: code`.
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
        """All its text in one."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tools that it asks for."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


class Piece(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What a stream is made of. No piece is empty: an empty delta of a provider is nothing, and yields nothing."""


class TextPiece(Piece, frozen=True, kw_only=True, tag="text"):
    """More text."""

    text: str


class ThinkingPiece(Piece, frozen=True, kw_only=True, tag="thinking"):
    """More thinking, to be shown; its seal comes in the Answer only."""

    text: str


class ToolPiece(Piece, frozen=True, kw_only=True, tag="tool"):
    """More of a tool call: the first of each has its name, all have its id; arguments: more of their JSON."""

    id: str
    name: str = ""
    arguments: str = ""


AnyPiece: TypeAlias = TextPiece | ThinkingPiece | ToolPiece


class Embedded(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Vectors of texts, in their order. model: as it was asked for; vectors of different ones never meet.

    What the provider calls it is not told: some call one model now by one name, now by another.
    """

    vectors: tuple[tuple[float, ...], ...]
    model: str
    usage: Usage = Usage()


class Listed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that a provider said it offers. window: tokens it takes in all, 0 where it did not say."""

    id: str
    window: Tokens = 0


_pieces: Final[msgspec.msgpack.Decoder[list[AnyPiece]]] = msgspec.msgpack.Decoder(list[AnyPiece])
_encoder: Final = msgspec.msgpack.Encoder()


def packed(pieces: Sequence[AnyPiece]) -> bytes:
    """A chunk of `model.stream`."""
    return _encoder.encode(pieces)


def unpacked(chunk: bytes) -> list[AnyPiece]:
    """The pieces of a chunk. CodecError for bytes that are none."""
    try:
        return _pieces.decode(chunk)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(f"not a chunk of pieces: {error}") from None


def request_of(params: dict[str, object]) -> Request:
    """A Request from params of a call; CodecError, with what is wrong, for those that are none."""
    return _converted(params, Request)


def answer_of(reply: object) -> Answer:
    """An Answer from the reply of a call; CodecError for one that is none."""
    return _converted(reply, Answer)


def _converted(value: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise CodecError(f"not {'a request' if kind is Request else 'an answer'}: {error}") from None
