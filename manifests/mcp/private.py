"""Which addresses of HTTP nobody else can listen to (pure): https, and loopback of this machine.

A login goes to such ones alone. Asked by the command that adds a server, and by the server's Hand at each step of a login,
whose addresses are a stranger's words.
"""

from typing import Final
from urllib.parse import urlsplit

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def is_private(address: str) -> bool:
    """Whether it is one. Raises ValueError for what is no address."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
