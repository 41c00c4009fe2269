"""Who may speak through a door over HTTP (pure): whoever shows its token, on this very machine, and is no web page.

RFC 6750 section 2.1, one header and nothing else; compared by digest in constant time. Host and Origin are looked at because
a page of anybody's can make a browser connect to a loopback port, under a name that it lets resolve to it (DNS rebinding).
"""

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

HEAD_MOST: Final = 16 * 1024
"""Bytes of a request's head."""

END: Final = b"\r\n\r\n"
"""What ends a head."""

_BEARER: Final = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)[ \t]*")
_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")


def digest_of(token: str) -> str:
    """SHA-256 of a token, in hex: what a door is told instead of it."""
    return sha256(token.encode()).hexdigest()


def shows(values: Iterable[bytes], digest: str) -> bool:
    """Whether the values of all Authorization headers of a request are one, with the token of that digest."""
    match list(values):
        case [value] if found := _BEARER.fullmatch(value):
            return hmac.compare_digest(sha256(found[1]).hexdigest(), digest)
    return False


def head_shows(head: bytes, digest: str) -> bool:
    """The same of a request's head, as it came, from its first line to END."""
    names_and_values = (line.partition(b":") for line in head.partition(END)[0].split(b"\r\n")[1:])
    return shows(
        (value.strip(b" \t") for name, _, value in names_and_values if name.lower() == b"authorization"), digest
    )


def is_here(hosts: Iterable[bytes], origins: Iterable[bytes], port: int) -> bool:
    """Whether a request was meant for this port of this machine, by its Host and, when it has one, its Origin."""
    own = {f"{name}:{port}".encode() for name in _NAMES} | ({name.encode() for name in _NAMES} if port == 80 else set())
    told = list(hosts)
    if len(told) != 1 or told[0].lower() not in own:
        return False
    return all(origin.lower().removeprefix(b"http://") in own and origin[:4].lower() == b"http" for origin in origins)
