"""Splits the URL that the kernel checked into parts, and makes a redirect's target absolute (pure).

The kernel delivers the one normal form, so this is a match of that form and not a parser that could read the URL
differently from the kernel; any other form is refused.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin

from web_failure import WebFailed

_FORM: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(?P<port>[1-9][0-9]{0,4}))?(?P<target>/[!-~]*)",
    re.A,
)
_LOCATION_MAX: Final = 8 * 1024


@dataclass(frozen=True, kw_only=True)
class Url:
    """A URL and its parts. host: IPv6 in brackets. authority: the Host header's value. target: path and query, as sent."""

    text: str
    scheme: str
    host: str
    port: int
    authority: str
    target: str


def read(text: str) -> Url:
    """Parses a URL. Raises WebFailed unless it is in normal form."""
    match = _FORM.fullmatch(text)
    if match is None or "#" in text:
        raise WebFailed("arguments", f"{text!r} is not an http or https URL in its normal form.")
    scheme, host, port = match["scheme"], match["host"], match["port"]
    number = int(port) if port else {"http": 80, "https": 443}[scheme]
    if number > 65535:
        raise WebFailed("arguments", f"{text!r} names a port above 65535.")
    authority = f"{host}:{port}" if port else host
    return Url(text=text, scheme=scheme, host=host, port=number, authority=authority, target=match["target"])


def absolute(base: str, location: str) -> str:
    """A redirect's target as an absolute URL without fragment; "" if it is invalid. location: Latin-1 text.

    It is the *caller's* next call, which the kernel parses and checks; nothing here follows it.
    """
    raw = location.strip().encode("latin-1", "replace")[:_LOCATION_MAX]
    safe = quote(raw, safe="!#$%&'()*+,/:;=?@[]~")
    try:
        return urljoin(base, safe).partition("#")[0]
    except ValueError:
        return ""
