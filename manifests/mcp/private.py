"""Which HTTP URLs are safe from eavesdroppers (pure): https, and loopback of this machine.

A login uses only such URLs. Checked by the command that adds a server, and by the server's Hand at each step of a login,
whose URLs come from other servers.
"""

from typing import Final
from urllib.parse import urlsplit

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def is_private(address: str) -> bool:
    """Whether a URL is safe from eavesdroppers. Raises ValueError if it is malformed."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
