"""The entries of a feed (pure: bytes in, values out; RSS and Atom of every age, by feedparser).

The library is given a stream: bytes by themselves it takes for the name of a file first, and text for an address.
"""

import io
import re
import time
from typing import Final

import feedparser

from charsets import fits, guessed, marked
from page_refusal import PageRefused
from plain_line import line, whole

ROOM: Final = 900_000
"""Bytes of the entries of one answer, which fit into a reply with what is around them."""

_SPOILED: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError)
"""What the library raises where it meets what it did not expect: a letter whose number is too large, among others."""

_NAMES_ITS_OWN: Final = re.compile(rb"<\?xml[^>]*?\bencoding\s*=\s*[\"']?([^\"'?> ]*)")
_UTF_8: Final = ("utf-8", "utf8")
_HTML: Final = ("text/html", "application/xhtml+xml")


def read(raw: bytes, url: str, charset: str, most: int) -> dict[str, object]:
    """What pages.feed answers, but for `url`. charset: what its header said, or "". PageRefused for what is no feed."""
    raw = _mended(raw, charset)
    try:
        headers = {"content-location": url, "content-type": f"application/xml{_letters(raw, charset)}"}
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


def _mended(raw: bytes, charset: str) -> bytes:
    """The feed in UTF-8, if it is in that but for some bytes, or says so and is not: the library would take it for Greek."""
    own = _NAMES_ITS_OWN.match(raw)
    named = own[1].decode("latin-1") if own else charset
    is_other = named.lower() not in _UTF_8 and fits(raw, named)
    if b"\0" in raw[:4] or is_other or fits(raw, "utf-8"):
        return raw
    return raw.decode(guessed(raw), "replace").encode()


def _letters(raw: bytes, charset: str) -> str:
    """The charset to read a feed in, as a content-type tells it, which goes before what the feed names: "" where it does."""
    mark = marked(raw)
    if not mark and (b"\0" in raw[:4] or _NAMES_ITS_OWN.match(raw)):
        return ""
    names = (mark, charset, "utf-8", "windows-1252", "iso-8859-1")
    return f"; charset={next(name for name in names if name and fits(raw, name))}"


def _line(told: feedparser.FeedParserDict, name: str) -> str:
    """A text, of which the feed, or the library where that says nothing, says whether it is HTML."""
    is_html = told.get(f"{name}_detail", {}).get("type") in _HTML
    return line(told.get(name, ""), tag=" " if is_html else None)


def _moment(parsed: time.struct_time | None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", parsed) if parsed else ""
