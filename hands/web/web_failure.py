"""Why a fetch or a connection failed: this Hand's reason codes (pure).

Separate so that the modules below `main.py` need not import the runtime. The codes are part of the Hand's contract.
"""

import errno
from typing import Final

CODES: Final[dict[str, str]] = {
    "private address": "The host leads to an address that is not public, and the operator did not allow it.",
    "name not found": "The name has no address.",
    "name server": "The name server did not answer.",
    "unreachable": "Nothing accepts connections there, or no way leads there.",
    "timeout": "The time was over; the text says in which part.",
    "certificate": "The server could not prove that it is the host that was asked for.",
    "tls": "The encrypted connection could not be made or broke.",
    "bad reply": "What came back is not HTTP/1.1, or is not what its headers say.",
    "broken off": "The connection ended in the middle.",
    "too large": "The body is larger than `most`; what came before was delivered.",
    "robots": "The site's robots.txt does not want programs to fetch this, or cannot be had; `location`, where it leads.",
    "arguments": "An argument has a value that makes no sense.",
    "settings": "A setting of this Hand has a value that cannot be used.",
    "busy": "The Hand has no thread or descriptor left; try again.",
}


class WebFailed(Exception):
    """Ends the call in Failed with this code and text. code: a key of CODES; detail: values for programs."""

    def __init__(self, code: str, text: str, **detail: object) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.detail = detail


SPENT: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
"""Errors that mean this Hand or its machine ran out of something, and say nothing about the host."""


def busy(host: str, error: OSError) -> WebFailed:
    """The failure for an error in SPENT: the host was not contacted."""
    return WebFailed("busy", f"{host} was not asked: {error.strerror}. Try again.")
