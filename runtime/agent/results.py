"""Results of calls as text for a model (pure): written out, cut where they are too long, and kept whole for read_result."""

import re
from typing import Final

import msgspec
from msgspec import Struct

from runtime.models import counting
from runtime.models.messages import Image
from wire import codec

KEPT_MOST: Final = 16_000_000
"""Characters of results plus bytes of their pictures that are kept; beyond that the oldest are dropped."""

_CUT_AFTER: Final = ("\n\n", "\n", ". ", " ")
_BACK: Final = 5
"""A place to cut is looked for in the last fifth of what fits."""

_NOTE: Final = re.compile(
    r'\n\[(characters [\d,]+ to [\d,]+ of [\d,]+)(?:: the end|; read on with read_result\(id="r\d+", start=\d+\))\]\Z'
)


class Kept(Struct, frozen=True, kw_only=True):
    """A whole result. source: the call that returned it. is_outside: it is marked when shown."""

    text: str
    source: str
    labels: tuple[str, ...] = ()
    is_outside: bool = False
    pictures: tuple[Image, ...] = ()

    @property
    def size(self) -> int:
        """Characters of the text plus bytes of the pictures."""
        return len(self.text) + sum(len(one.content) for one in self.pictures)


def as_text(value: object) -> str:
    """Return a reply as a model reads it: a text unchanged; a table that has a text of several lines as `name: value`
    lines; any other value as JSON. What an MCP server says twice appears once.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        value = _without_repetition(value, value["text"])
    if isinstance(value, dict) and any(isinstance(one, str) and "\n" in one for one in value.values()):
        return "\n".join(_row(str(name), row) for name, row in value.items())
    return _json(value)


def _without_repetition(value: dict[str, object], text: str) -> dict[str, object]:
    """Return the table without `structured` if the text is its JSON, and without its only part's text if that is the same.

    MCP servers should also return structured content as text, for older clients; a client that shows both pays twice.
    """
    structured, parts = value.get("structured"), value.get("parts")
    if isinstance(structured, dict) and _says(text, structured):
        value = {name: row for name, row in value.items() if name != "structured"}
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], dict) and parts[0].get("text") == text:
        value = {**value, "parts": [{name: row for name, row in parts[0].items() if name != "text"}]}
    return value


def _says(text: str, structured: dict[str, object]) -> bool:
    """Return whether a text is, as JSON, the structure or its only value."""
    only = [*structured.values()] if len(structured) == 1 else []
    if text in only:
        return True
    try:
        said = _sorted_json(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError):
        return False
    return any(_sorted_json(one) == said for one in (structured, *only))


def _sorted_json(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _row(name: str, value: object) -> str:
    if isinstance(value, str):
        return f"{name}:\n{value}" if "\n" in value else f"{name}: {value}"
    return f"{name}: {_json(value)}"


def _json(value: object) -> str:
    return codec.as_json(value).decode()


def end_of_piece(text: str, start: int, most: int) -> int:
    """Return where a piece of at most `most` characters from `start` ends: after a paragraph, a line, a sentence or a word.

    Always beyond `start`, unless the text ends there.
    """
    end = start + max(1, most)
    if end >= len(text):
        return len(text)
    least = end - max(1, most // _BACK)
    for mark in _CUT_AFTER:
        found = text.rfind(mark, least, end)
        if found > start:
            return found + len(mark)
    return end


def end_of_shown(text: str, start: int, most: int) -> int:
    """Return where a piece from `start` ends that has at most `most` characters, and at most so many tokens.

    A character has one token at most, but for those of scripts without spaces, which count as two.
    """
    end = end_of_piece(text, start, most)
    return end if counting.of_text(text[start:end]) <= most else end_of_piece(text, start, most // 2)


class Shelf:
    """Keeps results whole, by the ids r1, r2 and so on."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        self._size = self._number = 0

    def keep(self, kept: Kept) -> str:
        """Keep a result; return its id."""
        self._number += 1
        name = f"r{self._number}"
        self._kept[name] = kept
        self._size += kept.size
        while self._size > KEPT_MOST and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self._size -= self._kept.pop(oldest).size
        return name

    def find(self, name: str) -> Kept | None:
        """Return the result with this id, None if there is none or it was dropped."""
        return self._kept.get(name)


def note_on_rest(name: str, text: str, start: int, end: int) -> str:
    """Return the note that follows a piece of a result: which it is and how to read on. "" if it is the whole."""
    if start == 0 and end == len(text):
        return ""
    shown = f"characters {start:,} to {end:,} of {len(text):,}"
    if end == len(text):
        return f"[{shown}: the end]"
    return f'[{shown}; read on with read_result(id="{name}", start={end})]'


def split_note(shown: str) -> tuple[str, str]:
    """Return a piece without the note that `note_on_rest` put after it, and that note as a sentence, "" without one."""
    note = _NOTE.search(shown)
    return (shown[: note.start()], f"Only {note[1]} were read.") if note else (shown, "")
