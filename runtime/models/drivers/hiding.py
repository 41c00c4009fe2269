"""Removes a key that a service sends back, from bytes and from an answer's pieces, wherever they are cut (pure).

Services repeat what they were sent: in the error of a refused key, in the answer of a test server, in a header. The key
is found in upper and lower case, as it is and as JSON and URLs write it. One that comes back in another encoding, such as
base64, is not found.
"""

import re
from typing import Final

import msgspec
from msgspec.structs import replace

from runtime.models.messages import Answer, AnyPiece, Text, TextPiece, Thinking, ThinkingPiece, ToolCall, ToolPiece

HIDDEN: Final = "[key]"
SHORTEST: Final = 12
"""Characters of the shortest key that is removed: a shorter one is no provider's, but a word that a local server wants."""

_PLAIN: Final = re.compile(r"[a-z0-9_.-]+")
"""What JSON and URLs write as it is; of `~`, which Azure's keys have, some services write %7E."""


class KeyFilter:
    """Removes a key from a text. A piece's end that may begin the key is held back until the next piece. key: "" for none."""

    def __init__(self, key: str) -> None:
        self._key = _Spelled(key)
        self._held = ""

    def take(self, piece: str) -> str:
        """Take a piece; return what can be passed on so far."""
        clean = self._key.hide(self._held + piece)
        start = self._key.find_beginning(clean)
        self._held = clean[start:]
        return clean[:start]

    def take_bytes(self, piece: bytes) -> bytes:
        """Take a piece of bytes, as `take` does."""
        return self.take(piece.decode("latin-1")).encode("latin-1")

    def rest(self) -> str:
        """Return what was held back, when nothing more comes."""
        held, self._held = self._held, ""
        return held


class PieceFilter:
    """Removes a key from an answer. A stream may cut it into pieces where no bytes of the key stand side by side."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._filters: dict[object, KeyFilter] = {}
        self._last: type[TextPiece | ThinkingPiece] | None = None

    def take(self, piece: AnyPiece) -> list[AnyPiece]:
        """Take a piece; return what can be passed on so far. A text ends where thinking or a call begins, and so on."""
        kind = None if isinstance(piece, ToolPiece) else type(piece)
        pieces = self._rest_of(self._last) if kind is not self._last else []
        self._last = kind
        if isinstance(piece, ToolPiece):
            arguments = self._filter(piece.id).take(piece.arguments)
            return [*pieces, *([replace(piece, arguments=arguments)] if arguments or piece.name else [])]
        text = self._filter(kind).take(piece.text)
        return [*pieces, *([replace(piece, text=text)] if text else [])]

    def rest(self) -> list[AnyPiece]:
        """Return what was held back, when nothing more comes."""
        return [piece for slot in self._filters for piece in self._rest_of(slot)]

    def hide_in(self, answer: Answer) -> Answer:
        """Return the answer without the key."""
        return replace(answer, parts=tuple(map(self._hide_in_part, answer.parts)))

    def _filter(self, slot: object) -> KeyFilter:
        if slot not in self._filters:
            self._filters[slot] = KeyFilter(self._key)
        return self._filters[slot]

    def _rest_of(self, slot: object) -> list[AnyPiece]:
        """Return what is held back of a kind of text, or of the arguments of the call with an id."""
        rest = self._filters[slot].rest() if slot in self._filters else ""
        if not rest:
            return []
        if isinstance(slot, str):
            return [ToolPiece(id=slot, arguments=rest)]
        return [ThinkingPiece(text=rest) if slot is ThinkingPiece else TextPiece(text=rest)]

    def _hide_in_part(self, part: Text | Thinking | ToolCall) -> Text | Thinking | ToolCall:
        if not isinstance(part, ToolCall):
            return replace(part, text=hide_key(part.text, self._key))
        written = msgspec.json.encode(part.arguments).decode()
        clean = hide_key(written, self._key)
        arguments = part.arguments if clean == written else msgspec.json.decode(clean, type=dict[str, object])
        return replace(part, arguments=arguments, malformed=hide_key(part.malformed, self._key))


def hide_key(text: str, key: str) -> str:
    """Return the text without the key."""
    return _Spelled(key).hide(text)


class _Spelled:
    """A key in all its spellings."""

    def __init__(self, key: str) -> None:
        key = key.lower() if len(key) >= SHORTEST else ""
        self._letters = [_spellings(letter) for letter in key]
        self._longest = sum(len(one[0]) for one in self._letters)
        self._first = {one[0] for letter in self._letters[:1] for one in letter}
        self._needle = max(_PLAIN.findall(key), key=len, default="")
        self._pattern = "".join(f"(?:{'|'.join(map(re.escape, one))})" for one in self._letters)

    def hide(self, text: str) -> str:
        """Return the text without the key."""
        if not self._letters or self._needle not in text.lower():
            return text
        return re.sub(self._pattern, HIDDEN, text, flags=re.IGNORECASE)

    def find_beginning(self, text: str) -> int:
        """Return where an end of the text begins that may be the beginning of the key; the text's length if none does."""
        end = text[max(0, len(text) - self._longest + 1) :].lower() if self._letters else ""
        found = (start for start, sign in enumerate(end) if sign in self._first and self._begins(end, start))
        return len(text) - len(end) + next(found, len(end))

    def _begins(self, text: str, at: int) -> bool:
        places = {at}  # where the next letter may begin: two backslashes are one letter or two
        for spellings in self._letters:
            if any(one.startswith(text[place:]) for place in places for one in spellings):
                return True
            places = {place + len(one) for place in places for one in spellings if text.startswith(one, place)}
        return False


def _spellings(letter: str) -> tuple[str, ...]:
    """Return how a letter of a key may be written, the longest first."""
    if _PLAIN.fullmatch(letter):
        return (letter,)
    escaped = (f"\\{letter}",) if letter in '"\\/' else ()
    return f"\\u{ord(letter):04x}", f"%{ord(letter):02x}", *escaped, letter
