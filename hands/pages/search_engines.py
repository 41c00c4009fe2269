"""The kinds of search engines: how each is queried and its answer parsed (pure). To add one, add a row to KINDS.

SearXNG (docs.searxng.org, Search API): self-hosted; `formats` in its settings.yml must include json. MediaWiki (Action
API, list=search): Wikipedia and every other wiki of that kind. Neither needs a key.
"""

import json
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode, urljoin

from msgspec import Struct

from page_refusal import PageRefused
from plain_line import line

RESULTS_MOST: Final = 50
_NUMBER: Final = re.compile(r"(?a)[0-9]{1,18}")
"""A page's id. Not str.isdigit(), which is true of more than int() takes."""

Rows = list[dict[str, object]]


class Kind(Struct, frozen=True, kw_only=True):
    """ask: (query, page from 1, language) → URL parameters. read: (decoded answer, engine's URL) → rows."""

    ask: Callable[[str, int, str], dict[str, str]]
    read: Callable[[dict[str, object], str], Rows]


def _ask_searxng(query: str, page: int, language: str) -> dict[str, str]:
    return {"q": query, "format": "json", "pageno": str(page), **({"language": language} if language else {})}


def _read_searxng(answer: dict[str, object], address: str) -> Rows:
    return [
        {
            "title": _text(row, "title"),
            "url": _text(row, "url"),
            "summary": _text(row, "content"),
            "date": _text(row, "publishedDate"),
        }
        for row in _rows(answer.get("results"))
    ]


def _ask_mediawiki(query: str, page: int, language: str) -> dict[str, str]:
    return {
        "action": "query", "list": "search", "format": "json", "formatversion": "2", "srsearch": query,
        "srlimit": "10", "sroffset": str(10 * (page - 1)), "srprop": "snippet|timestamp",
    }  # fmt: skip


def _read_mediawiki(answer: dict[str, object], address: str) -> Rows:
    found = answer.get("query")
    return [
        {
            "title": _text(row, "title"),
            "url": urljoin(address, f"index.php?curid={int(str(row.get('pageid', 0)))}"),
            "summary": line(row.get("snippet") or "", tag=""),
            "date": _text(row, "timestamp"),
        }
        for row in _rows(found.get("search") if isinstance(found, dict) else None)
        if _NUMBER.fullmatch(str(row.get("pageid", "")))
    ]


KINDS: Final[dict[str, Kind]] = {
    "searxng": Kind(ask=_ask_searxng, read=_read_searxng),
    "mediawiki": Kind(ask=_ask_mediawiki, read=_read_mediawiki),
}


def engine(named: object, name: str) -> tuple[Kind, str]:
    """(kind, URL) of the engine called `name`. named: the setting `engines`. Raises PageRefused."""
    engines = named if isinstance(named, dict) else {}
    kind, _, address = str(engines.get(name, "")).partition(" ")
    if name not in engines:
        known = ", ".join(sorted(map(str, engines))) or "none is named"
        raise PageRefused("engine", f"there is no engine {name!r} ({known}): maniple settings pages engines=…")
    if kind not in KINDS or not address.startswith(("http://", "https://")) or "?" in address:
        raise PageRefused("engine", f"engine {name}: write its kind ({', '.join(KINDS)}) and its address, no more.")
    return KINDS[kind], address


def search_url(kind: Kind, address: str, query: str, page: int, language: str) -> str:
    """The URL to fetch for a search."""
    return f"{address}?{urlencode(kind.ask(query, page, language))}"


def parse_results(kind: Kind, address: str, raw: bytes) -> Rows:
    """Parses the results. Raises PageRefused if the engine did not answer in JSON."""
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise PageRefused("unknown type", f"{address} did not answer in JSON; is that format switched on there?")
    return [row for row in kind.read(answer, address) if str(row["url"]).startswith(("http://", "https://"))]


def _rows(found: object) -> Rows:
    return [row for row in found if isinstance(row, dict)][:RESULTS_MOST] if isinstance(found, list) else []


def _text(row: dict[str, object], name: str) -> str:
    return line(row.get(name) or "")
