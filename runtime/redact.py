"""What must not reach a log (pure): values of secret settings, and what looks like a key, replaced in records.

A net under the Hand's own care, not instead of it: what it cannot recognise it cannot hide.
"""

import re
from typing import Final

HIDDEN: Final = "[redacted]"
LONGEST: Final = 8_192
"""Characters of one text in a record; what is longer is cut, and says so."""

_SHORTEST_SECRET: Final = 4  # a shorter one would blank out half of every text, and is no secret
_DEEPEST: Final = 8
_SIGNS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
"""What ends a line, or is no letter: whoever quotes it writes it in another way, and what is between as it is."""


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
"""Whatever a text begins like, again and again, it is gone through in time proportional to it."""


class Redactor:
    """Replaces secrets anywhere in a value. secrets: the texts known to be secret."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self.secrets = secrets
        lines = {part for text in secrets for part in (text, *_SIGNS.split(text))}
        known = sorted((text for text in lines if len(text) >= _SHORTEST_SECRET), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        """The text without secrets, and not longer than LONGEST."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        text = _KEY_LIKE.sub(HIDDEN, text)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"

    def value(self, value: object, depth: int = 0) -> object:
        """The value as JSON can tell it, without secrets."""
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self.text(value)
            case bytes():
                return self.text(value.decode("utf-8", "replace"))
            case dict() if depth < _DEEPEST:
                return {self.text(str(name)): self.field(str(name), item, depth + 1) for name, item in value.items()}
            case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
                return [self.value(item, depth + 1) for item in value]
            case _:
                return self.text(str(value))

    def field(self, name: str, value: object, depth: int = 0) -> object:
        """The value of a field; one whose name says that it is secret is hidden whole."""
        if isinstance(value, str | bytes) and _TELLING_NAME.search(name):
            return HIDDEN
        return self.value(value, depth)
