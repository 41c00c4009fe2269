"""Removes a key that a service sends back, from bytes that come in pieces and from texts (pure).

Services repeat what they were sent: in the error of a refused key, in the answer of a test server, in a header. The key
is found as it is, in upper or lower case; a key that comes back in another encoding is not found.
"""

import re
from typing import Final

HIDDEN: Final = "[key]"
SHORTEST: Final = 12
"""Characters of the shortest key that is removed: a shorter one is no provider's, but a word that a local server wants."""


class KeyFilter:
    """Removes a key from bytes. A piece's end that may begin the key is held back until the next piece. key: "" for none."""

    def __init__(self, key: str) -> None:
        self._key = key.encode().lower()
        self._copies = re.compile(re.escape(self._key), re.IGNORECASE) if len(key) >= SHORTEST else None
        self._held = b""

    def take(self, piece: bytes) -> bytes:
        """Take a piece; return what can be passed on so far."""
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
        """Return what was held back, when nothing more comes."""
        held, self._held = self._held, b""
        return held


def hide_key(text: str, key: str) -> str:
    """Return the text without the key."""
    return re.sub(re.escape(key), HIDDEN, text, flags=re.IGNORECASE) if len(key) >= SHORTEST else text
