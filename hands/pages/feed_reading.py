"""Parses the entries of a feed (pure: bytes in, values out; RSS and Atom of every version, by feedparser).

feedparser gets a stream: it would first try bytes as a file's name, and text as a URL.
"""

import io
import re
import time
from typing import Final

import feedparser

from page_refusal import PageRefused
from plain_line import line, whole
from runtime.charsets import fits, guessed, marked

ROOM: Final = 900_000
"""Bytes of the entries in one reply, which leave room for its other fields."""

_SPOILED: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError)
"""What feedparser raises for unexpected input, such as a character number that is too large."""

_NAMES_ITS_OWN: Final = re.compile(rb"<\?xml[^>]*?\bencoding\s*=\s*[\"']?([^\"'?> ]*)")
_UTF_8: Final = ("utf-8", "utf8")
_HTML: Final = ("text/html", "application/xhtml+xml")


def read(raw: bytes, url: str, charset: str, most: int) -> dict[str, object]:
    """The reply of pages.feed but for `url`. charset: of the header, or "". Raises PageRefused if it is not a feed."""
    raw = _as_utf8(raw, charset)
    try:
        headers = {"content-location": url, "content-type": f"application/xml{_charset_param(raw, charset)}"}
        found = feedparser.parse(io.BytesIO(raw), response_headers=headers, resolve_relative_uris=True)
    except _SPOILED as error:
        raise PageRefused("unknown type", f"{url}: it cannot be read as a feed: {type(error).__name__}.") from None
    if not found.get("version"):
        raise PageRefused("unknown type", f"{url}: it is neither RSS nor Atom.")
    entries: list[dict[str, str]] = []
    room = ROOM
    for one in found.entries[:most]:
        entry = {
            "title": _line(one, "title"),
            "url": whole(one.get("link", ""))[:2000],
            "id": whole(one.get("id", "") or one.get("link", ""))[:500],
            "date": _moment(one.get("published_parsed") or one.get("updated_parsed")),
            "summary": _line(one, "summary"),
        }
        room -= sum(len(text.encode()) + 20 for text in entry.values())
        if room < 0:
            break
        entries.append(entry)
    is_cut = len(found.entries) > len(entries)
    return {"title": _line(found.feed, "title"), "entries": entries, "more": is_cut}


def _as_utf8(raw: bytes, charset: str) -> bytes:
    """Repairs a feed that is or claims to be UTF-8 but has invalid bytes, which feedparser would misread as Greek."""
    own = _NAMES_ITS_OWN.match(raw)
    named = own[1].decode("latin-1") if own else charset
    is_other = named.lower() not in _UTF_8 and fits(raw, named)
    if b"\0" in raw[:4] or is_other or fits(raw, "utf-8"):
        return raw
    return raw.decode(guessed(raw), "replace").encode()


def _charset_param(raw: bytes, charset: str) -> str:
    """The charset parameter of a content-type, which overrides what the feed names; "" if the feed's own should count."""
    mark = marked(raw)
    if not mark and (b"\0" in raw[:4] or _NAMES_ITS_OWN.match(raw)):
        return ""
    names = (mark, charset, "utf-8", "windows-1252", "iso-8859-1")
    return f"; charset={next(name for name in names if name and fits(raw, name))}"


def _line(told: feedparser.FeedParserDict, name: str) -> str:
    """A field as plain text. The feed, or else feedparser, says whether it is HTML."""
    is_html = told.get(f"{name}_detail", {}).get("type") in _HTML
    return line(told.get(name, ""), tag=" " if is_html else None)


def _moment(parsed: time.struct_time | None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", parsed) if parsed else ""
