"""Which HTTP URLs are safe from eavesdroppers (pure): https, and loopback of this machine; and which hold a key.

A login uses only such URLs. Checked by the command that adds a server, and by the server's Hand at each step of a login,
whose URLs come from other servers.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def is_private(address: str) -> bool:
    """Whether a URL is safe from eavesdroppers. Raises ValueError if it is malformed."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


_KEY: Final = re.compile(
    r"(?:\A|[^A-Za-z]|(?<=[a-z])(?=[A-Z])|(?i:access|api|app|auth|client|private|refresh|secret|session|user))"
    r"(?i:key|token|secret|passw(?:or)?d|pwd|authorization|credentials?|sig|signature)\Z"
)
"""A name that is, or ends with, a word for a secret: one that begins there, or follows one of these words directly."""


def key_in_query(address: str) -> str:
    """Return the name of the first parameter in a URL's query that is called like a secret; "" if none is.

    A server's URL is in its HAND.toml, in lists and in the log. Raises ValueError if it is malformed.
    """
    names = (name for name, _ in parse_qsl(urlsplit(address).query, keep_blank_values=True))
    return next(filter(_KEY.search, names), "")
