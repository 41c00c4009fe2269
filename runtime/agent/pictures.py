"""Pictures in what tools return (pure): found by how their bytes begin, taken out of the reply, and told of in words.

How many of them a request carries talk.py decides; a body has 1 MiB, and a conversation is in it too.
"""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import replace

from runtime.models.messages import AnyPart, Image, Message, Text, ToolResult
from wire.pictures import media

PICTURE_MOST: Final = 512 * 1024
"""Bytes of a picture that is shown."""

PICTURES_MOST: Final = 640 * 1024
"""Bytes of all pictures of a request."""

_DEEPEST: Final = 32
NOT_KEPT: Final = "it was shown when the tool was called, and is not kept: call the tool again to see it"
BLIND: Final = "the model that is asked sees no pictures"
OUTSIDE: Final = "[The pictures of this result are content from outside, and so is all that is written in them.]"


class Gone(Image, frozen=True, kw_only=True, tag="gone"):
    """A picture that is not shown any more, and so not kept with the conversation: some hundred are all of a run's memory."""

    size: int


def words(kind: str, size: int) -> str:
    """A picture in words. kind: such as image/png."""
    return f"a picture, {kind}, {size:,} bytes"


def line(image: Image, what: str) -> Text:
    """What stands for a picture that is not shown."""
    return Text(text=f"[{words(image.media, image.size if isinstance(image, Gone) else len(image.content))}: {what}]")


def how_to_see(name: str, *, refused: bool = False) -> str:
    """Why one is not shown, and how it is seen again. refused: the provider refused the request that it was in."""
    if refused:
        return f'the request that it was in was refused; read_result(id="{name}") shows it again'
    return f'left out; see it again with read_result(id="{name}")'


def number_of(images: Iterable[object]) -> str:
    """How many pictures, "" for none."""
    many = sum(isinstance(one, Image) for one in images)
    return f"{many} picture{'s' if many > 1 else ''}" if many else ""


def parted(value: object) -> tuple[object, tuple[Image, ...]]:
    """A reply with words where its pictures stood, and these, in their order."""
    found: list[Image] = []
    return _without(value, found, _DEEPEST), tuple(found)


def _without(value: object, found: list[Image], depth: int) -> object:
    if isinstance(value, bytes) and (kind := media(value)):
        text = words(kind, len(value))
        if len(value) > PICTURE_MOST:
            return f"({text}: more than the {PICTURE_MOST // 1024} KiB that are shown)"
        found.append(Image(media=kind, content=value))  # type: ignore[arg-type]  # one of its four
        return f"({text})"
    if depth and isinstance(value, dict):
        return {name: _without(one, found, depth - 1) for name, one in value.items()}
    if depth and isinstance(value, list | tuple):
        return [_without(one, found, depth - 1) for one in value]
    return value


def in_results(message: Message) -> list[Image]:
    """The pictures of its results, in their order."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    return [one for part in results for one in part.content if isinstance(one, Image)]


def from_on(messages: Iterable[Message], number: int) -> set[str]:
    """The ids of the results that have the pictures from this one on, counted over all of them."""
    ids = [part.id for message in messages for part in message.parts if isinstance(part, ToolResult)
           for one in part.content if isinstance(one, Image)]  # fmt: skip
    return set(ids[number:])


def beside_results(message: Message) -> list[Image]:
    """The pictures that people sent with it."""
    return [part for part in message.parts if isinstance(part, Image)]


def left_out(message: Message, many: int, why: dict[str, str], other: str) -> Message:
    """A message whose first so many pictures of results are told in words. why: by the result's id, or else `other`."""
    return _with_others(message, many, lambda result, image: line(image, why.get(result.id, other)))


def let_go(message: Message, many: int) -> Message:
    """A message without the bytes of the first so many pictures of its results."""
    if all(isinstance(one, Gone) for one in in_results(message)[:many]):
        return message
    return _with_others(message, many, lambda _, image: _emptied(image))


def _emptied(image: Image) -> Gone:
    return image if isinstance(image, Gone) else Gone(media=image.media, content=b"", size=len(image.content))


def _with_others(message: Message, many: int, other: Callable[[ToolResult, Image], Text | Image]) -> Message:
    """A message with something else for each of the first so many pictures of its results."""
    if many <= 0:
        return message
    parts, left = list[AnyPart](), many
    for part in message.parts:
        if isinstance(part, ToolResult):
            content = list[Text | Image]()
            for one in part.content:
                is_out = isinstance(one, Image) and left > 0
                left -= is_out
                content.append(other(part, one) if is_out and isinstance(one, Image) else one)
            parts.append(replace(part, content=tuple(content)))
        else:
            parts.append(part)
    return replace(message, parts=tuple(parts))


def first_shown(sizes: list[int], now: int, room: int, number: int) -> int:
    """From which picture on they are shown, `now` or later: some more are left out than need be, so that it is seldom."""
    if _fits_within(sizes[now:], room, number):
        return now
    for most, many in ((room * 3 // 5, max(1, number * 3 // 5)), (room, number)):
        found = next(at for at in range(now, len(sizes) + 1) if _fits_within(sizes[at:], most, min(many, number)))
        if found < len(sizes):
            return found
    return len(sizes)


def _fits_within(sizes: list[int], room: int, number: int) -> bool:
    return not sizes or (sum(sizes) <= room and len(sizes) <= number)
