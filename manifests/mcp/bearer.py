"""Authenticates HTTP requests to a door (pure): they need its token, come from this machine, and not from a web page.

RFC 6750 section 2.1, the Authorization header only; compared by digest in constant time. Host and Origin are checked because
any web page can make a browser connect to a loopback port, under a name that resolves to it (DNS rebinding).
"""

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

HEAD_MOST: Final = 16 * 1024
"""The most bytes of a request's head."""

END: Final = b"\r\n\r\n"
"""The end of a head."""

_BEARER: Final = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)[ \t]*")
_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")


def digest_of(token: str) -> str:
    """Return the SHA-256 of a token, in hex, which a door gets instead of the token."""
    return sha256(token.encode()).hexdigest()


def has_token(values: Iterable[bytes], digest: str) -> bool:
    """Whether a request has exactly one Authorization header, with the token of that digest. values: of all of them."""
    match list(values):
        case [value] if found := _BEARER.fullmatch(value):
            return hmac.compare_digest(sha256(found[1]).hexdigest(), digest)
    return False


def head_has_token(head: bytes, digest: str) -> bool:
    """Whether a request's raw head, from its first line to END, has the token of that digest."""
    names_and_values = (line.partition(b":") for line in head.partition(END)[0].split(b"\r\n")[1:])
    return has_token(
        (value.strip(b" \t") for name, _, value in names_and_values if name.lower() == b"authorization"), digest
    )


def is_for_this_port(hosts: Iterable[bytes], origins: Iterable[bytes], port: int) -> bool:
    """Whether the values of a request's Host and Origin headers, of which the latter may be missing, name this port here."""
    own = {f"{name}:{port}".encode() for name in _NAMES} | ({name.encode() for name in _NAMES} if port == 80 else set())
    told = list(hosts)
    if len(told) != 1 or told[0].lower() not in own:
        return False
    return all(origin.lower().removeprefix(b"http://") in own and origin[:4].lower() == b"http" for origin in origins)
