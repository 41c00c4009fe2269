"""Checks whether a site's robots.txt lets programs fetch a page (acts by fetching it; RFC 9309, parsed by Protego).

Fetched once an hour per scheme, host and port, over a connection that is checked like any other, and only for callers that
want it respected. If the site answers with a client error (4xx), everything may be fetched; with a server error or not at
all, nothing (§2.3.1.3, §2.3.1.4).

A redirect (§2.3.1.2) is not followed here, since nobody granted its target. Its location is returned, as for every
redirect: the caller fetches the rules there by a call of its own and applies them; `pages` does both.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from protego import Protego

from manifests.capabilities.url import normalise
from manifests.errors import ResourceInvalid
from runtime.robots_rules import AGENT, KEPT_FOR, READ_MOST, RULES_MOST, select_rules
from web_failure import WebFailed
from wire.limits import RESOURCE_MAX

KEPT_FOR_UNREACHED: Final = 60.0
SITES_MOST: Final = 500
KEPT_MOST: Final = 4 * 1024 * 1024
"""Bytes of all cached robots.txt files together; parsed, they take up to twenty times as much memory."""

Get = Callable[[str, int], Awaitable[tuple[int, str, bytes]]]
"""(URL, bytes at most) → (status, redirect's location or "", body). Raises WebFailed."""

Rules = Protego | str | None
"""A site's rules; a str is the URL that they moved to; None: they could not be fetched, or are too many."""


class Robots:
    """The rules of recently checked sites. get: fetches a file. clock: monotonic seconds."""

    def __init__(self, get: Get, clock: Callable[[], float] = time.monotonic) -> None:
        self._get, self._clock = get, clock
        self._known: OrderedDict[str, tuple[float, Rules, int]] = OrderedDict()
        self._size = 0

    async def check(self, url: str) -> None:
        """Raises WebFailed unless the site's rules let programs fetch this URL."""
        parts = urlsplit(url)
        if parts.path == "/robots.txt":
            return
        site = f"{parts.scheme}://{parts.netloc}"
        until, rules, _ = self._known.get(site, (0.0, None, 0))
        if until <= self._clock():
            rules, seconds, size = await self._fetch_rules(site)
            self._keep(site, self._clock() + seconds, rules, size)
        if rules is None:
            why = f"cannot be had now, or has more than {RULES_MOST} rules"
            raise WebFailed("robots", f"{site}/robots.txt {why}, so nothing there is fetched for programs.")
        if isinstance(rules, str):
            text = f"{site}/robots.txt leads to {rules}, and that is a call of your own, as after every redirect"
            raise WebFailed("robots", f"{text}: read the rules there, as pages.read does.", location=rules)
        if not rules.can_fetch(url, AGENT):
            raise WebFailed("robots", f"{site}/robots.txt does not want programs to fetch {parts.path[:200]}.")

    def _keep(self, site: str, until: float, rules: Rules, size: int) -> None:
        """Caches a site's rules; drops the oldest ones if all take too much."""
        self._size += size - self._known.pop(site, (0.0, None, 0))[2]
        self._known[site] = until, rules, size
        while len(self._known) > SITES_MOST or (self._size > KEPT_MOST and len(self._known) > 1):
            self._size -= self._known.popitem(last=False)[1][2]

    async def _fetch_rules(self, site: str) -> tuple[Rules, float, int]:
        """(the rules, seconds for which they are cached, their size in bytes)."""
        try:
            status, location, body = await self._get(f"{site}/robots.txt", READ_MOST)
        except WebFailed as failed:
            if failed.code in ("private address", "name not found"):
                raise  # the page itself cannot be fetched either
            return None, KEPT_FOR_UNREACHED, 0
        if 300 <= status < 400 and location:
            leads = _address(location)
            return (None, KEPT_FOR_UNREACHED, 0) if leads is None else (leads, KEPT_FOR, len(leads))
        if 200 <= status < 300:
            rules = select_rules(body)
            return (None if rules is None else Protego.parse(rules)), KEPT_FOR, len(body)
        return (None, KEPT_FOR_UNREACHED, 0) if status >= 500 else (Protego.parse(""), KEPT_FOR, 0)


def _address(location: str) -> str | None:
    """A redirect's target in the kernel's normal form of a URL; None if no call can have it."""
    try:
        leads = normalise(location.partition("#")[0])
    except ResourceInvalid:
        return None
    return leads if leads.startswith(("http://", "https://")) and len(leads) <= RESOURCE_MAX else None
