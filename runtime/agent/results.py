"""What a call returned, as text for a model: written out, cut where it is too long, and kept whole to be read on (pure)."""

import re
from typing import Final

import msgspec
from msgspec import Struct

from runtime.models.messages import Image
from wire import codec

KEPT_MOST: Final = 16_000_000
"""Characters of results, and bytes of their pictures, that are kept; the oldest are let go beyond that."""

_CUTS: Final = ("\n\n", "\n", ". ", " ")
_BACK: Final = 5
"""A cut is looked for in the last fifth of what fits."""

_REST: Final = re.compile(
    r'\n\[(characters [\d,]+ to [\d,]+ of [\d,]+)(?:: its end|; read on with read_result\(id="r\d+", start=\d+\))\]\Z'
)


class Kept(Struct, frozen=True, kw_only=True):
    """A whole result. source: the call that it came from; outside: it is to be marked. pictures: that came with it."""

    text: str
    source: str
    labels: tuple[str, ...] = ()
    outside: bool = False
    pictures: tuple[Image, ...] = ()

    @property
    def size(self) -> int:
        """Characters, and bytes of pictures."""
        return len(self.text) + sum(len(one.content) for one in self.pictures)


def as_text(value: object) -> str:
    """A reply as a model reads it: a text as it is; a table with texts of several lines has these as they are; else JSON.

    What a server of the Model Context Protocol says twice is told once.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        value = _once(value, value["text"])
    if isinstance(value, dict) and any(isinstance(one, str) and "\n" in one for one in value.values()):
        return "\n".join(_row(str(name), row) for name, row in value.items())
    return _json(value)


def _once(value: dict[str, object], text: str) -> dict[str, object]:
    """The table without a structure that its text is the JSON of, and without the text of its only part, which it has itself.

    Servers are to answer structures as text, too, for clients that know only texts; a client that shows both pays twice.
    """
    structured, parts = value.get("structured"), value.get("parts")
    if isinstance(structured, dict) and _is_told(structured, text):
        value = {name: row for name, row in value.items() if name != "structured"}
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], dict) and parts[0].get("text") == text:
        value = {**value, "parts": [{name: row for name, row in parts[0].items() if name != "text"}]}
    return value


def _is_told(structured: dict[str, object], text: str) -> bool:
    """Whether a text says what a structure does, or the only thing in it."""
    same = [structured, *(structured.values() if len(structured) == 1 else ())]
    if text in same[1:]:
        return True
    try:
        told = _sorted(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError):
        return False
    return any(_sorted(one) == told for one in same)


def _sorted(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _row(name: str, value: object) -> str:
    if isinstance(value, str):
        return f"{name}:\n{value}" if "\n" in value else f"{name}: {value}"
    return f"{name}: {_json(value)}"


def _json(value: object) -> str:
    return codec.as_json(value).decode()


def cut(text: str, start: int, most: int) -> int:
    """Where a piece of at most so many characters from `start` ends: after a paragraph, a line, a sentence or a word.

    Always beyond start, unless that is the text's end.
    """
    end = start + max(1, most)
    if end >= len(text):
        return len(text)
    least = end - max(1, most // _BACK)
    for mark in _CUTS:
        found = text.rfind(mark, least, end)
        if found > start:
            return found + len(mark)
    return end


class Shelf:
    """Results by their ids, r1, r2 and so on."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        self._size = self._number = 0

    def keep(self, kept: Kept) -> str:
        """Its id."""
        self._number += 1
        name = f"r{self._number}"
        self._kept[name] = kept
        self._size += kept.size
        while self._size > KEPT_MOST and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._size -= self._kept.pop(oldest).size
        return name

    def find(self, name: str) -> Kept | None:
        """What is kept under an id."""
        return self._kept.get(name)


def rest(name: str, text: str, start: int, end: int) -> str:
    """What is told after a piece of a result; "" after all of it."""
    if start == 0 and end == len(text):
        return ""
    shown = f"characters {start:,} to {end:,} of {len(text):,}"
    if end == len(text):
        return f"[{shown}: its end]"
    return f'[{shown}; read on with read_result(id="{name}", start={end})]'


def without_rest(shown: str) -> tuple[str, str]:
    """A piece as it is shown, without what `rest` told after it; and that in words, "" where all was shown."""
    rest = _REST.search(shown)
    return (shown[: rest.start()], f"Only {rest[1]} were read.") if rest else (shown, "")
