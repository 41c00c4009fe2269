"""The Hand `web`: the one process that reaches other machines, over one checked connection per call (acts).

Provides web.fetch and web.connect; HAND.toml and README.md list what each takes and returns. This module joins the parts:
`address_check` decides which addresses are allowed, `name_lookup` and `dialling` connect, `http_hop` speaks HTTP through
h11, `page_cache` stores replies, `robots` reads robots.txt, `tunnel` carries bytes.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import ExitStack
from ssl import SSLContext
from typing import TypeVar

import h11
import msgspec

from address_check import Allowance, canonical, read_allowance
from dialling import Link, dial, trust
from http_hop import CHUNK_SIZE, Progress, Send, exchange, request
from name_lookup import Lookup, SystemLookup
from page_cache import Found, Gathered, Kept, PageCache, may_keep, now, outdates_stored
from robots import Robots
from runtime import Call, Failure, Hand
from tunnel import Carried, carry
from url_parts import Url, read
from web_failure import WebFailed

T = TypeVar("T")


class Web(Hand):
    """Provides web.*."""

    lookup: Lookup

    async def start(self) -> None:
        """Makes the parts that need the running loop. The cache's folder is made when it is first used."""
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
        timeout: float | None = None,  # noqa: ASYNC109 (a param of the method; the deadline is kept in _bounded)
        most: int | None = None,
        robots: bool = False,
        max_age: float | None = None,
    ) -> dict[str, object]:
        """web.fetch: one request; its reply's body is streamed. timeout: seconds. most: bytes, up to the setting `most`.

        robots: fetch only if the site's robots.txt allows programs. max_age: seconds that a cached answer may be old; None
        bypasses the cache.
        """
        progress = Progress()
        whole = self.settings.of("timeout", float) if timeout is None else timeout
        largest = self.settings.of("most", int)
        bound = largest if most is None else min(most, largest)

        async def answer() -> dict[str, object]:
            url = read(call.resource)
            if robots:
                await self.robots.check(call.resource)
            if max_age is None or method != "GET" or headers:
                return await self._hop(url, request(url, method, headers or {}), bound, call.send, progress)
            return await self._fetch_cached(call, url, bound, max_age, progress)

        return await _bounded(answer(), progress, whole)

    async def _hop(self, url: Url, asked: h11.Request, most: int, send: Send, progress: Progress) -> dict[str, object]:
        """Sends one request over a new connection and streams the reply. Returns the reply's facts."""
        link = await self._connect(url.host, url.port, progress, tls=url.scheme == "https")
        try:
            answer = await exchange(link, asked, url.text, most, send, progress)
            return {
                **answer,
                "address": str(link.address),
                "connected_us": link.connected_us,
                "first_byte_us": progress.first_byte_us,
                "elapsed_us": progress.elapsed_us(),
            }
        finally:
            link.cut()

    async def _fetch_cached(self, call: Call, url: Url, most: int, age: float, progress: Progress) -> dict[str, object]:
        """The cached reply if it is young enough or has not changed; else a new one, which is stored."""
        with ExitStack() as held:
            found = self.cache.find(call.resource)
            if found is not None:
                held.callback(found.close)
                if not self._may_lead_to(url.host, found.kept.address):
                    found = None  # its validators are not sent either
                elif found.kept.is_young(age, now()):
                    return await self._from_cache(call, found, found.kept, most, progress)
            gathered = Gathered(self.cache)
            held.callback(gathered.close)
            return await self._fetch(call, url, most, progress, found, gathered)

    async def _fetch(
        self, call: Call, url: Url, most: int, progress: Progress, found: Found | None, gathered: Gathered
    ) -> dict[str, object]:
        """A new reply, or `found` again if the server says it has not changed. gathered: collects the body to be stored."""

        async def send(piece: bytes) -> None:
            gathered.add(piece)
            await call.send(piece)

        asked = request(url, "GET", found.kept.validators() if found is not None else {})
        try:
            answer = await self._hop(url, asked, most, send, progress)
        except BaseException:  # an incomplete reply outdates the stored one, too
            if progress.status not in (0, 304) and outdates_stored(progress.status):
                self.cache.forget(call.resource)
            raise
        status, headers = int(str(answer["status"])), answer["headers"]
        assert isinstance(headers, dict)
        if status == 304 and found is not None:
            fresh = found.kept.confirmed(headers, now())
            if may_keep(fresh.status, fresh.headers):
                self.cache.put(msgspec.structs.replace(fresh, body=found.read(0, fresh.size)))
            else:
                self.cache.forget(fresh.url)
            answer.pop("location", None)
            return answer | await self._from_cache(call, found, fresh, most, progress)
        if may_keep(status, headers) and (body := gathered.body) is not None:
            address = str(answer["address"])
            self.cache.put(
                Kept(url=call.resource, status=status, headers=headers, address=address, at=now(), body=body)
            )
        elif outdates_stored(status):
            self.cache.forget(call.resource)
        return answer | {"cached": False}

    async def _from_cache(
        self, call: Call, found: Found, kept: Kept, most: int, progress: Progress
    ) -> dict[str, object]:
        for at in range(0, min(kept.size, most), CHUNK_SIZE):
            piece = found.read(at, min(CHUNK_SIZE, kept.size - at, most - at))
            progress.size += len(piece)
            await call.send(piece)
        if kept.size > most:
            raise WebFailed("too large", f"The body has {kept.size} bytes, and `most` is {most}.")
        facts = {"status": kept.status, "headers": kept.headers, "url": kept.url, "size": progress.size, "cached": True}
        spent = {"connected_us": 0, "first_byte_us": 0, "elapsed_us": progress.elapsed_us()}
        return {**facts, "address": kept.address, **spent}

    async def _robots_txt(self, url: str, most: int) -> tuple[int, str, bytes]:
        """Get for `robots`: (status, location, first `most` bytes). Raises WebFailed for a body beyond ten times `most`."""
        body = bytearray()

        async def send(piece: bytes) -> None:
            body.extend(piece[: max(most - len(body), 0)])

        parts = read(url)
        answer = await self._hop(parts, request(parts, "GET", {}), 10 * most, send, Progress())
        return int(str(answer["status"])), str(answer.get("location", "")), bytes(body)

    async def connect(self, call: Call, timeout: float | None = None) -> dict[str, object]:  # noqa: ASYNC109
        """web.connect: a connection both ways. timeout: seconds to connect; after that only the call's deadline counts."""
        host, _, port = call.resource.rpartition(":")
        progress, carried = Progress(), Carried()

        async def answer() -> dict[str, object]:
            link = await self._connect(host, int(port), progress, tls=False, seconds=timeout)
            try:
                if call.uploads:
                    await call.send(b"")  # tells the caller that the connection is made
                await carry(link, aiter(call.upload), call.send, carried)
            except OSError as error:
                raise WebFailed("broken off", f"The connection broke: {error.strerror or error}.") from None
            finally:
                link.cut()
            return {
                "connected_us": link.connected_us,
                "sent": carried.sent,
                "received": carried.received,
                "address": str(link.address),
            }

        return await _bounded(answer(), progress, None)

    async def _connect(
        self, host: str, port: int, progress: Progress, *, tls: bool, seconds: float | None = None
    ) -> Link:
        """Connects, within `seconds` or else the setting `connect_timeout`. The caller cuts the link."""
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
        return link

    def _allowed(self) -> Allowance:
        """The setting `private`, parsed; parsed again when it changes."""
        entries = self.settings.of("private", list)
        if self.allowed[0] != entries:
            self.allowed = [*entries], read_allowance(entries)
        return self.allowed[1]

    def _may_lead_to(self, host: str, address: str) -> bool:
        """Whether the host may lead to the address that it once led to, by the present settings."""
        return self._allowed().allows(host.strip("[]"), canonical(address)) is None

    def _trust(self) -> SSLContext:
        """The certificate authorities to trust; loaded again when the setting `authorities` changes."""
        authorities = self.settings.of("authorities", str)
        if self.trusted is None or self.trusted[0] != authorities:
            self.trusted = authorities, trust(authorities)
        return self.trusted[1]


async def _bounded(answer: Coroutine[None, None, T], progress: Progress, seconds: float | None) -> T:
    """Limits the work to `seconds`, and turns WebFailed and the timeout into the call's Failed."""
    clock = asyncio.timeout(seconds)
    try:
        async with clock:
            return await answer
    except WebFailed as failed:
        raise Failure(failed.code, failed.text, size=progress.size, **failed.detail) from None
    except TimeoutError:
        if not clock.expired():
            raise
        text = f"The time was over after {seconds:g} s, while {progress.phase}."
        raise Failure("timeout", text, size=progress.size) from None
