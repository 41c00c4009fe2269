"""Replaces secrets in log records (pure): values of secret settings, and texts that look like keys.

A safety net under the Hand's own care, not instead of it: it can hide only what it recognises.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

HIDDEN: Final = "[redacted]"
LONGEST: Final = 8_192
"""Characters of one text in a record; a longer one is cut, and says so."""

_SHORTEST_SECRET: Final = 4  # a shorter one would blank out half of every text, and is not secret anyway
_DEEPEST: Final = 8
_SIGNS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
"""Line ends and control characters: quoting changes these, and keeps the text between them."""


_TELLING_NAME: Final = re.compile(
    r"(?:^|[_\-. ])(?:password|passwd|passphrase|secret|token|api[_\-]?key|access[_\-]?key|private[_\-]?key"
    r"|authorization|cookie|set-cookie|credentials?)$",
    re.IGNORECASE,
)
_KEY_LIKE: Final = re.compile(
    r"""
      -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)
    | \b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_[A-Za-z0-9_]{20,} | \bglpat-[A-Za-z0-9_-]{16,}
    | \bxox[a-z]-[A-Za-z0-9-]{10,} | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b | \bAIza[A-Za-z0-9_-]{30,}
    | (?<![A-Za-z0-9_-])(?:[A-Za-z0-9_]+-){0,4}?ey[A-Za-z0-9_-]{8,}+\.ey[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]+
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)
    | (?i:(?<=bearer[ ])|(?<=basic[ ]))[A-Za-z0-9._~+/=-]{8,}
    | (?i:(?<=password=)|(?<=api_key=)|(?<=apikey=)|(?<=token=)|(?<=secret=))[^&\s"']{4,}
    """,
    re.VERBOSE | re.DOTALL,
)
"""Matching takes time proportional to the text, whatever the text repeats."""


_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")
"""Characters that a URL holds unescaped."""

_HUGE: Final = 1_024
"""Bits of a whole number above which only its size is logged: Python refuses to print very large ones."""


def as_text(value: object) -> str:
    """str(value), or a description if that raises."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - whatever a Hand's own class does: to log it breaks nothing
        return f"a {type(value).__name__} that cannot be shown"


def _spellings(text: str) -> Iterator[str]:
    """A text as it is, and as JSON, Python and URLs quote it."""
    yield text
    text = text.encode("utf-8", "replace").decode()
    json, python = msgspec.json.encode(text).decode()[1:-1], repr(text)[1:-1]
    yield json
    yield "".join(char if char < "\x80" else _escaped(char) for char in json)
    yield python
    yield python.replace("'", "\\'")
    yield repr(text.encode())[2:-1]
    for kept, space in ((b"", "%20"), (b"/", "%20"), (b"", "+")):
        yield "".join(
            chr(byte) if byte in _PLAIN or byte in kept else space if byte == 0x20 else f"%{byte:02X}"
            for byte in text.encode()
        )


def _escaped(char: str) -> str:
    raw = char.encode("utf-16-be").hex()
    return "".join(f"\\u{raw[at : at + 4]}" for at in range(0, len(raw), 4))


class Redactor:
    """Replaces secrets anywhere in a value. secrets: the known ones."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self.secrets = secrets
        self._numbers = frozenset(text for text in secrets if text[-1:].isdigit() and len(text) >= _SHORTEST_SECRET)
        lines = {part for text in secrets for part in (text, *_SIGNS.split(text))}
        wide = {way for text in lines if len(text) >= _SHORTEST_SECRET for way in _spellings(text)}
        known = sorted(wide, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        """The text without secrets, valid UTF-8, and at most LONGEST long."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        text = _KEY_LIKE.sub(HIDDEN, text)
        if not text.isascii():
            text = text.encode("utf-8", "backslashreplace").decode()
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"

    def value(self, value: object, depth: int = 0) -> object:
        """The value in JSON's types, without secrets."""
        match value:
            case int() if value.bit_length() > _HUGE:
                return f"a number of {value.bit_length()} bits"
            case None | bool() | int() | float():
                return HIDDEN if self._numbers and str(value) in self._numbers else value
            case str():
                return self.text(value)
            case bytes():
                return self.text(value.decode("utf-8", "replace"))
            case dict() if depth < _DEEPEST:
                named = ((as_text(name), item) for name, item in value.items())
                return {self.text(name): self.field(name, item, depth + 1) for name, item in named}
            case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
                return [self.value(item, depth + 1) for item in value]
            case _:
                return self.text(as_text(value))

    def field(self, name: str, value: object, depth: int = 0) -> object:
        """The value of a field; hidden whole if its name says that it is secret."""
        if isinstance(value, str | bytes) and _TELLING_NAME.search(name):
            return HIDDEN
        return self.value(value, depth)
