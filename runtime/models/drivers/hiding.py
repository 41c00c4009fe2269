"""A key that comes back is not told on: taken out of bytes that come in pieces, and of texts (pure).

Services repeat what they were sent: in the error of a refused key, in the answer of a test server, in a header. What is
looked for is the key as it is, in any case; a server that tells it in another spelling has hidden it from this too.
"""

import re
from typing import Final

HIDDEN: Final = "[key]"
SHORTEST: Final = 12
"""Characters of a key that is looked for: a shorter one is no provider's, but a word that a server of this machine wants."""


class Hiding:
    """Bytes without a key, whose beginning is held back at the end of a piece until the next one. key: "" for none."""

    def __init__(self, key: str) -> None:
        self._key = key.encode().lower()
        self._copies = re.compile(re.escape(self._key), re.IGNORECASE) if len(key) >= SHORTEST else None
        self._held = b""

    def take(self, piece: bytes) -> bytes:
        """What can be told so far."""
        if self._copies is None:
            return piece
        clean = self._held + piece
        if self._key in clean.lower():
            clean = self._copies.sub(HIDDEN.encode(), clean)
        end = clean[1 - len(self._key) :].lower()
        held = next((size for size in range(len(end), 0, -1) if end.endswith(self._key[:size])), 0)
        self._held = clean[len(clean) - held :]
        return clean[: len(clean) - held]

    def rest(self) -> bytes:
        """What was held back, when nothing more comes."""
        held, self._held = self._held, b""
        return held


def hidden(text: str, key: str) -> str:
    """The text without the key."""
    return re.sub(re.escape(key), HIDDEN, text, flags=re.IGNORECASE) if len(key) >= SHORTEST else text
