"""Parses the head of a request to a run's proxy (pure; HTTP, RFC 9110 and 9112).

Separate from proxy.py, which connects, so that hostile heads can be tested without a connection. Whether a host may be
reached is not decided here but by the kernel, on the resource.
"""

import binascii
import re
from typing import Final

from msgspec import Struct

from wire.errors import ManipleError

LONGEST: Final = 64 * 1024
"""Most bytes of a head."""

_LINE: Final = re.compile(r"([A-Za-z]{1,20}) ([\x21-\x7e]{1,8192}) (HTTP/1\.[01])", re.ASCII)
_FIELD: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)", re.ASCII | re.DOTALL)
_AUTHORITY: Final = re.compile(r"(?:[^@/]*@)?(\[[0-9A-Fa-f:.]+\]|[^@/:\[\]]+)(?::([0-9]{1,5}))?", re.ASCII)
_HOP: Final = frozenset(("connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "upgrade"))
_OURS: Final = _HOP | {"host"}
"""Fields that are not forwarded. Host is rewritten from the URL, which is what was checked (RFC 9112, section 3.2.2)."""


class HeadInvalid(ManipleError):
    """A head that a proxy must not forward. The text says why."""


class Wanted(Struct, frozen=True, kw_only=True):
    """A parsed head. address: as `web.connect` takes it. forward: what to send first, b"" for a tunnel.

    is_tunnel: a CONNECT, to be answered once the connection is made. call: the number of the call it is for, if named.
    """

    address: str
    forward: bytes
    is_tunnel: bool
    call: int | None


def read(head: bytes) -> Wanted:
    """Parses a head, which ends with its empty line. Raises HeadInvalid."""
    first, *rest = head.removesuffix(b"\r\n\r\n").decode("latin-1").split("\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise HeadInvalid("this is not a request to a proxy")
    method, target = line[1], line[2]
    fields = [_field(text) for text in rest]
    call = next((_call(value) for name, value in fields if name.lower() == "proxy-authorization"), None)
    if method == "CONNECT":
        return Wanted(address=":".join(_address(target, None)), forward=b"", is_tunnel=True, call=call)
    if not target.lower().startswith("http://"):
        raise HeadInvalid("only http:// is passed on; other protocols go through CONNECT")
    authority, path = re.fullmatch(r"([^/?#]*)(.*)", target[7:]).groups()  # type: ignore[union-attr]  # it always matches
    kept = [f"{name}: {value}" for name, value in fields if name.lower() not in _OURS]
    host, port = _address(authority, "80")
    kept.insert(0, f"Host: {host}" if port == "80" else f"Host: {host}:{port}")
    path = path if path.startswith("/") else f"/{path}"
    text = "\r\n".join((f"{method} {path} {line[3]}", *kept, "Connection: close", "", ""))
    return Wanted(address=f"{host}:{port}", forward=text.encode("latin-1"), is_tunnel=False, call=call)


def _address(authority: str, port: str | None) -> tuple[str, str]:
    """Host and port of a URL's authority. port: the default, None if it must have one. Raises HeadInvalid."""
    match = _AUTHORITY.fullmatch(authority)
    found = match[2] or port if match else None
    if match is None or found is None:
        raise HeadInvalid("it names no host and port")
    return match[1], found


def _field(line: str) -> tuple[str, str]:
    match = _FIELD.fullmatch(line)
    value = match[2].strip(" \t") if match else ""
    if match is None or any(ord(character) < 32 and character != "\t" for character in value):
        raise HeadInvalid("a line of its head is not a header field")
    return match[1], value


def _call(value: str) -> int:
    """The call's number in a `Basic` authorization's user. Raises HeadInvalid."""
    kind, _, encoded = value.partition(" ")
    try:
        user = binascii.a2b_base64(encoded, strict_mode=True).decode("ascii").partition(":")[0]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        user = ""
    if kind.lower() != "basic" or not user.isdecimal() or len(user) > 18:
        raise HeadInvalid("the user of a proxy's URL is the number of a call")
    return int(user)
