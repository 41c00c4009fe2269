"""The Hand `pages`: pages as Markdown, feeds, and web searches (acts; thin over one module for each).

It is a task: a fresh process and interpreter answers each call. It has no network, no file and nothing of another caller,
and calls `web.fetch` in its caller's name. So every hop of a redirect is a call of its own: it needs the caller's grant
for that address, the address is checked when connecting, and the log records it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urldefrag

import search_engines
from page_refusal import PageRefused
from runtime import Call, CallFailed, CallRefused, Failure, Hand, charsets
from runtime.bounded_work import bounded, in_thread
from runtime.robots_rules import AGENT, KEPT_FOR, RULES_MOST, select_rules
from wire.errors import CodecError
from wire.limits import RESOURCE_MAX

HOPS_MOST: Final = 6
PAGE_MOST: Final = 8 * 1024 * 1024
RULES_HOPS_MOST: Final = 5
RULES_SIZE_MOST: Final = 5 * 1024 * 1024
"""Most redirects and bytes of a robots.txt that has moved."""

MARKDOWN_MOST: Final = 100_000
ENTRIES_MOST: Final = 200
LANGUAGE_MOST: Final = 20
_PAGES: Final = ("text/html", "application/xhtml+xml", "text/plain", "text/markdown", "")


class Got:
    """The reply to a fetch. url: its address; leads: a redirect's target, or ""; kind, charset: from its content-type."""

    def __init__(self, url: str, reply: dict[str, object], raw: bytes) -> None:
        self.url, self.raw = url, raw
        self.status = int(str(reply["status"]))
        headers = reply["headers"]
        content = str(headers.get("content-type", "")) if isinstance(headers, dict) else ""
        self.kind = content.partition(";")[0].strip().lower()
        self.charset = charsets.named(content)
        target = urldefrag(str(reply.get("location") or "")).url
        self.leads = target if 300 <= self.status < 400 else ""


class Pages(Hand):
    """Provides pages.*."""

    async def read(
        self, call: Call, whole: bool = False, offset: int = 0, most: int = 20_000, age: float = 0
    ) -> dict[str, object]:
        """pages.read: a page as Markdown, `most` characters from `offset`. age: seconds that a cached reply may be old."""
        if offset < 0 or not 1 <= most <= MARKDOWN_MOST:
            raise Failure("arguments", f"offset must be 0 or more, and most between 1 and {MARKDOWN_MOST}.")
        with _as_failures(call.resource):
            got = await self._fetch(call.resource, age)
            if got.kind not in _PAGES:
                raise PageRefused(
                    "unknown type", f"{got.url} is {got.kind[:60]}, not a page; web.fetch returns its bytes."
                )
            if got.kind in ("text/plain", "text/markdown"):
                return _reply(got, "", "", _text(got), (), offset, most)
            import page_markdown  # its libraries take a second to load

            page = in_thread(lambda: page_markdown.read(got.raw, got.url, got.charset, whole=whole))
            return _reply(got, page.title, page.date, page.markdown, page.links, offset, most)

    async def feed(self, call: Call, most: int = 50, age: float = 0) -> dict[str, object]:
        """pages.feed: a feed's entries, in its order."""
        if not 1 <= most <= ENTRIES_MOST:
            raise Failure("arguments", f"most must be between 1 and {ENTRIES_MOST}.")
        with _as_failures(call.resource):
            got = await self._fetch(call.resource, age)
            import feed_reading

            return {"url": got.url, **feed_reading.read(got.raw, got.url, got.charset, most)}

    async def search(self, call: Call, query: str, page: int = 1, language: str = "") -> dict[str, object]:
        """pages.search: the results of a search engine. page: from 1."""
        if not query.strip() or not 1 <= page <= 100 or len(language) > LANGUAGE_MOST:
            raise Failure(
                "arguments", "query must be a text, page between 1 and 100, and language one like en or de-AT."
            )
        with _as_failures(call.resource):
            kind, address = search_engines.engine(self.settings.of("engines", dict), call.resource)
            asked = search_engines.search_url(kind, address, query, page, language)
            got = await self._fetch(asked, 0, robots=False)  # the engine's interface is made for programs
            return {"engine": call.resource, "results": search_engines.parse_results(kind, address, got.raw)}

    async def _fetch(self, url: str, age: float, *, robots: bool = True) -> Got:
        """Fetches a URL and follows redirects, each as a call in the caller's name. Raises PageRefused, Failure."""
        for _ in range(HOPS_MOST):
            got = await self._page(url, age, robots=robots)
            if got.leads:
                url = got.leads
                continue
            if got.status >= 400:
                raise PageRefused("status", f"{url} answered with status {got.status}.")
            return got
        raise PageRefused("too many redirects", f"{url} is the address after {HOPS_MOST} hops, and leads on.")

    async def _page(self, url: str, age: float, *, robots: bool) -> Got:
        """One hop. robots: only if the site lets programs, by the rules that `web` reads, or by rules that have moved."""
        try:
            return await self._hop(url, age, robots=robots)
        except CallFailed as failed:
            leads = failed.detail.get("location")
            if failed.code != "robots" or not isinstance(leads, str):
                raise Failure(failed.code, f"{url}: {failed.text}") from None
        await self._check_moved_rules(url, leads)
        try:
            return await self._hop(url, age, robots=False)
        except CallFailed as failed:
            raise Failure(failed.code, f"{url}: {failed.text}") from None

    async def _check_moved_rules(self, url: str, leads: str) -> None:
        """Raises PageRefused unless the rules at `leads`, where the site's robots.txt redirects, let programs fetch `url`.

        RFC 9309: rules behind a client error or more than five redirects allow everything (§2.3.1.2, §2.3.1.3); rules that
        cannot be fetched, also because the caller may not, allow nothing (§2.3.1.4).
        """
        for _ in range(RULES_HOPS_MOST):
            try:
                got = await self._hop(leads, KEPT_FOR, most=RULES_SIZE_MOST)
            except CallFailed as failed:
                raise PageRefused("robots", f"The rules for {url} are at {leads}: {failed.text}") from None
            if got.leads:
                leads = got.leads
                continue
            if got.status >= 500:
                raise PageRefused(
                    "robots", f"The rules for {url} are at {leads}, which answered with status {got.status}."
                )
            if got.status < 300 and not in_thread(lambda: _lets(got.raw, url)):  # noqa: B023  (awaited here)
                why = f"do not want programs to fetch {url}, or are more than {RULES_MOST}"
                raise PageRefused("robots", f"The rules at {leads} {why}.")
            return

    async def _hop(self, url: str, age: float, *, robots: bool = False, most: int = PAGE_MOST) -> Got:
        """One call of web.fetch in the caller's name. Raises CallFailed, PageRefused."""
        raw, old = bytearray(), f"{round(age * 1000)}ms"
        try:
            async with self.kernel.stream("web.fetch", url, most=most, robots=robots, max_age=old) as stream:
                async for chunk in stream:
                    raw += chunk
                reply = stream.reply.value
        except CallRefused as refused:
            raise PageRefused("refused", f"{url}: {refused}") from None
        except CodecError:
            text = f"{url[:80]}… is longer than an address may be: {RESOURCE_MAX} bytes."
            raise PageRefused("arguments", text) from None
        assert isinstance(reply, dict)
        return Got(url, {str(name): value for name, value in reply.items()}, bytes(raw))


def _lets(raw: bytes, url: str) -> bool:
    """Whether a robots.txt lets this program fetch `url`; False if it has too many rules."""
    from protego import Protego

    rules = select_rules(raw)
    return rules is not None and bool(Protego.parse(rules).can_fetch(url, AGENT))


def _text(got: Got) -> str:
    """A text file decoded by its mark, its header, or else the guess of charsets.py."""
    if mark := charsets.marked(got.raw):
        return got.raw.decode(mark, "replace").removeprefix("\ufeff")
    try:
        return got.raw.decode(got.charset or charsets.guessed(got.raw), "replace")
    except (LookupError, ValueError):
        return got.raw.decode(charsets.guessed(got.raw), "replace")


def _reply(
    got: Got, title: str, date: str, text: str, links: tuple[tuple[str, str], ...], offset: int, most: int
) -> dict[str, object]:
    shown = text.encode("utf-8", "replace").decode()
    return {
        "url": got.url,
        "status": got.status,
        "title": title,
        "date": date,
        "markdown": shown[offset : offset + most],
        "size": len(shown),
        "more": len(shown) > offset + most,
        "links": [{"text": words, "url": target} for words, target in links],
    }


@contextmanager
def _as_failures(named: str) -> Iterator[None]:
    """Turns PageRefused into the call's Failed, and bounds time and memory. named: the page's address, or the engine."""
    with bounded(named, "a page"):
        try:
            yield
        except PageRefused as refused:
            raise Failure(refused.code, refused.text) from None
