"""The Hand `web`: the one process that reaches other machines, one checked connection per call (acts).

Answers web.fetch and web.connect; what each takes and gives stands in HAND.toml and README.md. This module joins the
parts: `address_check` judges, `name_lookup` and `dialling` connect, `http_hop` speaks HTTP through h11, `page_cache`
keeps replies, `robots` asks what sites want, `tunnel` carries bytes.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from ssl import SSLContext

import h11
import msgspec

from address_check import Allowance, canonical, read_allowance
from dialling import Link, dial, trust
from http_hop import CHUNK_SIZE, Progress, Send, exchange, request
from name_lookup import Lookup, SystemLookup
from page_cache import Found, Gathered, Kept, PageCache, may_keep, now, tells_of_the_page
from robots import Robots
from runtime import Call, Failure, Hand
from tunnel import Carried, carry
from url_parts import Url, read
from web_failure import WebFailed


class Web(Hand):
    """Provides web.*."""

    lookup: Lookup

    async def start(self) -> None:
        """Makes what belongs to this loop, and opens the cache."""
        self.lookup = SystemLookup()
        self.robots = Robots(self._robots_txt)
        self.cache = PageCache(self.state / "cache", self.settings.of("cache", int))
        self.trusted: tuple[str, SSLContext] | None = None
        self.allowed: tuple[list[object], Allowance] = [], Allowance()

    async def fetch(
        self,
        call: Call,
        method: str = "GET",
        headers: Mapping[str, object] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (a param of the method; the deadline is kept in _told)
        most: int | None = None,
        robots: bool = False,
        max_age: float | None = None,
    ) -> dict[str, object]:
        """web.fetch: one request, its reply streamed. timeout: seconds; most: bytes, the smaller of it and the
        setting. robots: only if the site's robots.txt lets programs. max_age: seconds that an answer out of the cache may
        be old; None asks past the cache.
        """
        progress = Progress()
        whole = self.settings.of("timeout", float) if timeout is None else timeout
        largest = self.settings.of("most", int)
        bound = largest if most is None else min(most, largest)
        async with _bounded(progress, whole):
            url = read(call.resource)
            if robots:
                await self.robots.check(call.resource)
            if max_age is None or method != "GET" or headers:
                return await self._hop(call.resource, request(url, method, headers or {}), bound, call.send, progress)
            return await self._by_cache(call, url, bound, max_age, progress)

    async def _hop(self, url: str, asked: h11.Request, most: int, send: Send, progress: Progress) -> dict[str, object]:
        """One request over a connection of its own, and its reply."""
        parts, tls = read(url), url.startswith("https:")
        async with self._link(parts.host, parts.port, progress, tls=tls) as link:
            answer = await exchange(link, asked, url, most, send, progress)
            return {
                **answer,
                "address": str(link.address),
                "connected_us": link.connected_us,
                "first_byte_us": progress.first_byte_us,
                "elapsed_us": progress.elapsed_us(),
            }

    async def _by_cache(self, call: Call, url: Url, most: int, age: float, progress: Progress) -> dict[str, object]:
        """The reply out of the cache where it is young enough or has not changed, else a new one, which is kept."""
        with ExitStack() as held:
            found = self.cache.find(call.resource)
            if found is not None:
                held.callback(found.close)
                if not self._may_lead_to(url.host, found.kept.address):
                    found = None  # nor is anybody told of it: its validators are not sent
                elif found.kept.is_young(age, now()):
                    return await self._from_cache(call, found, found.kept, most, progress)
            gathered = Gathered(self.cache)
            held.callback(gathered.close)
            return await self._fetch(call, url, most, progress, found, gathered)

    async def _fetch(
        self, call: Call, url: Url, most: int, progress: Progress, found: Found | None, gathered: Gathered
    ) -> dict[str, object]:
        """A new reply, or what is found once more where that has not changed. gathered: takes its body, to be kept."""

        async def send(piece: bytes) -> None:
            gathered.add(piece)
            await call.send(piece)

        asked = request(url, "GET", found.kept.asking() if found is not None else {})
        try:
            answer = await self._hop(call.resource, asked, most, send, progress)
        except BaseException:  # what could not be had whole has replaced what is kept all the same
            if progress.status not in (0, 304) and tells_of_the_page(progress.status):
                self.cache.forget(call.resource)
            raise
        status, headers = int(str(answer["status"])), answer["headers"]
        assert isinstance(headers, dict)
        if status == 304 and found is not None:
            fresh = found.kept.refreshed(headers, now())
            if may_keep(fresh.status, fresh.headers):
                self.cache.put(msgspec.structs.replace(fresh, body=found.piece(0, fresh.size)))
            else:
                self.cache.forget(fresh.url)
            answer.pop("location", None)
            return answer | await self._from_cache(call, found, fresh, most, progress)
        if may_keep(status, headers) and (body := gathered.body) is not None:
            address = str(answer["address"])
            self.cache.put(
                Kept(url=call.resource, status=status, headers=headers, address=address, at=now(), body=body)
            )
        elif tells_of_the_page(status):
            self.cache.forget(call.resource)
        return answer | {"cached": False}

    async def _from_cache(
        self, call: Call, found: Found, kept: Kept, most: int, progress: Progress
    ) -> dict[str, object]:
        for at in range(0, min(kept.size, most), CHUNK_SIZE):
            piece = found.piece(at, min(CHUNK_SIZE, kept.size - at, most - at))
            progress.size += len(piece)
            await call.send(piece)
        if kept.size > most:
            raise WebFailed("too large", f"The body has {kept.size} bytes, and `most` is {most}.")
        told = {"status": kept.status, "headers": kept.headers, "url": kept.url, "size": progress.size, "cached": True}
        spent = {"connected_us": 0, "first_byte_us": 0, "elapsed_us": progress.elapsed_us()}
        return {**told, "address": kept.address, **spent}

    async def _robots_txt(self, url: str, most: int) -> tuple[int, str, bytes]:
        """A site's rules, for `robots`: its first bytes, so many; one that is ten times as large cannot be had."""
        body = bytearray()

        async def send(piece: bytes) -> None:
            body.extend(piece[: max(most - len(body), 0)])

        asked = request(read(url), "GET", {})
        answer = await self._hop(url, asked, 10 * most, send, Progress())
        return int(str(answer["status"])), str(answer.get("location", "")), bytes(body)

    async def connect(self, call: Call, timeout: float | None = None) -> dict[str, object]:  # noqa: ASYNC109
        """web.connect: a connection both ways. timeout: seconds for connecting; the call's deadline ends what
        follows.
        """
        host, _, port = call.resource.rpartition(":")
        progress, carried = Progress(), Carried()
        async with _bounded(progress, None):
            async with self._link(host, int(port), progress, tls=False, seconds=timeout) as link:
                try:
                    if call.uploads:
                        await call.send(b"")  # the connection is made
                    await carry(link, aiter(call.upload), call.send, carried)
                except OSError as error:
                    raise WebFailed("broken off", f"The connection broke: {error.strerror or error}.") from None
                return {
                    "connected_us": link.connected_us,
                    "sent": carried.sent,
                    "received": carried.received,
                    "address": str(link.address),
                }

    @asynccontextmanager
    async def _link(
        self,
        host: str,
        port: int,
        progress: Progress,
        *,
        tls: bool,
        seconds: float | None = None,
    ) -> AsyncIterator[Link]:
        """A connection that is cut at the end, and is made within the setting's time."""
        limit = self.settings.of("connect_timeout", float) if seconds is None else seconds
        clock = asyncio.timeout(limit)
        try:
            async with clock:
                link = await dial(
                    host, port, lookup=self.lookup, allowance=self._allowed(), tls=self._trust() if tls else None
                )
        except TimeoutError:
            if clock.expired():
                raise WebFailed("timeout", f"{host} port {port}: no connection within {limit:g} s.") from None
            raise
        progress.phase = "sending the request"
        try:
            yield link
        finally:
            link.cut()

    def _allowed(self) -> Allowance:
        """What the operator allowed besides public addresses; read anew when the setting changes."""
        entries = self.settings.of("private", list)
        if self.allowed[0] != entries:
            self.allowed = [*entries], read_allowance(entries)
        return self.allowed[1]

    def _may_lead_to(self, host: str, address: str) -> bool:
        """Whether the host may lead to that address now, where it once did."""
        return self._allowed().allows(host.strip("[]"), canonical(address)) is None

    def _trust(self) -> SSLContext:
        """Whom to believe; read anew when the setting changes."""
        authorities = self.settings.of("authorities", str)
        if self.trusted is None or self.trusted[0] != authorities:
            self.trusted = authorities, trust(authorities)
        return self.trusted[1]


@asynccontextmanager
async def _bounded(progress: Progress, seconds: float | None) -> AsyncIterator[None]:
    """Bounds the time, and turns what went wrong into the call's Failed."""
    clock = asyncio.timeout(seconds)
    try:
        async with clock:
            yield
    except WebFailed as failed:
        raise Failure(failed.code, failed.text, size=progress.size, **failed.detail) from None
    except TimeoutError:
        if not clock.expired():
            raise
        text = f"The time was over after {seconds:g} s, while {progress.phase}."
        raise Failure("timeout", text, size=progress.size) from None
