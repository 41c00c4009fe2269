"""Pictures in what tools return (pure): recognised by their first bytes, taken out of the reply, and replaced by words.

conversation.py decides how many of them a request carries: its body has at most 1 MiB, the conversation included.
"""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import replace

from runtime.models.messages import AnyPart, Image, Message, Text, ToolResult
from wire.pictures import media

PICTURE_MOST: Final = 512 * 1024
"""Bytes of the largest picture that is shown."""

PICTURES_MOST: Final = 640 * 1024
"""Bytes of all pictures of a request together."""

_DEPTH_MOST: Final = 32
NOT_KEPT: Final = "it was shown when the tool was called and is not kept; call the tool again to see it"
NOT_TAKEN: Final = "this model does not accept pictures"
OUTSIDE: Final = "[The pictures in this result are content from outside, and so is any text in them.]"


class Dropped(Image, frozen=True, kw_only=True, tag="gone"):
    """A picture without its bytes, once it is no longer shown: some hundred pictures would fill a run's memory."""

    size: int


def describe(kind: str, size: int) -> str:
    """Return a picture in words. kind: such as image/png; size: in bytes."""
    return f"a picture, {kind}, {size:,} bytes"


def placeholder(image: Image, why: str) -> Text:
    """Return the line that stands for a picture that is not shown."""
    size = image.size if isinstance(image, Dropped) else len(image.content)
    return Text(text=f"[{describe(image.media, size)}: {why}]")


def how_to_see(name: str, *, refused: bool = False) -> str:
    """Return why a picture is not shown, and how to see it again. refused: the provider refused a request that had it."""
    if refused:
        return f'left out, since a request with it was refused; see it again with read_result(id="{name}")'
    return f'left out; see it again with read_result(id="{name}")'


def count_note(content: Iterable[object]) -> str:
    """Return how many pictures there are, in words, "" for none."""
    number = sum(isinstance(one, Image) for one in content)
    return f"{number} picture{'s' if number > 1 else ''}" if number else ""


def take_out(value: object) -> tuple[object, tuple[Image, ...]]:
    """Return a reply with words in place of its pictures, and the pictures in their order."""
    found: list[Image] = []
    return _without(value, found, _DEPTH_MOST), tuple(found)


def _without(value: object, found: list[Image], depth: int) -> object:
    if isinstance(value, bytes) and (kind := media(value)):
        text = describe(kind, len(value))
        if len(value) > PICTURE_MOST:
            return f"({text}: not shown, since it is larger than {PICTURE_MOST // 1024} KiB)"
        found.append(Image(media=kind, content=value))  # type: ignore[arg-type]  # one of its four
        return f"({text})"
    if depth and isinstance(value, dict):
        return {name: _without(one, found, depth - 1) for name, one in value.items()}
    if depth and isinstance(value, list | tuple):
        return [_without(one, found, depth - 1) for one in value]
    return value


def in_results(message: Message) -> list[Image]:
    """Return the pictures of a message's tool results, in their order."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    return [one for part in results for one in part.content if isinstance(one, Image)]


def results_from(messages: Iterable[Message], number: int) -> set[str]:
    """Return the ids of the results that have any picture but the first `number` of all results."""
    ids = [part.id for message in messages for part in message.parts if isinstance(part, ToolResult)
           for one in part.content if isinstance(one, Image)]  # fmt: skip
    return set(ids[number:])


def beside_results(message: Message) -> list[Image]:
    """Return the pictures that people sent with a message."""
    return [part for part in message.parts if isinstance(part, Image)]


def with_placeholders(message: Message, number: int, why: dict[str, str], other: str) -> Message:
    """Return a message with lines for the first `number` pictures of its results. why: by the result's id, else `other`."""
    return _replace_first(message, number, lambda result, image: placeholder(image, why.get(result.id, other)))


def drop_bytes(message: Message, number: int) -> Message:
    """Return a message without the bytes of the first `number` pictures of its results."""
    if all(isinstance(one, Dropped) for one in in_results(message)[:number]):
        return message
    return _replace_first(message, number, lambda _, image: _dropped(image))


def _dropped(image: Image) -> Dropped:
    return image if isinstance(image, Dropped) else Dropped(media=image.media, content=b"", size=len(image.content))


def _replace_first(message: Message, number: int, by: Callable[[ToolResult, Image], Text | Image]) -> Message:
    """Return a message with each of the first `number` pictures of its results replaced."""
    if number <= 0:
        return message
    parts, left = list[AnyPart](), number
    for part in message.parts:
        if isinstance(part, ToolResult):
            content = list[Text | Image]()
            for one in part.content:
                if isinstance(one, Image) and left > 0:
                    left -= 1
                    content.append(by(part, one))
                else:
                    content.append(one)
            parts.append(replace(part, content=tuple(content)))
        else:
            parts.append(part)
    return replace(message, parts=tuple(parts))


def first_shown(sizes: list[int], now: int, room: int, number: int) -> int:
    """Return the index, `now` or later, of the first picture to show. room: bytes for all; number: the most pictures.

    When some must go, all beyond three fifths of both bounds go, so that this happens seldom; at least one stays if it
    fits.
    """
    if _fits(sizes[now:], room, number):
        return now
    for wanted_room, wanted_number in ((room * 3 // 5, max(1, number * 3 // 5)), (room, number)):
        most = min(wanted_number, number)
        found = next(at for at in range(now, len(sizes) + 1) if _fits(sizes[at:], wanted_room, most))
        if found < len(sizes):
            return found
    return len(sizes)


def _fits(sizes: list[int], room: int, number: int) -> bool:
    return not sizes or (sum(sizes) <= room and len(sizes) <= number)
