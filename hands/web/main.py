"""The Hand `web`: the one process that reaches other machines, one checked connection per call (acts).

Answers web.fetch and web.connect; what each takes and gives stands in HAND.toml and README.md. This module joins the
parts: `address_check` judges, `name_lookup` and `dialling` connect, `http_hop` speaks HTTP through h11, `tunnel`
carries bytes.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ssl import SSLContext

from address_check import read_allowance
from dialling import Link, dial, trust
from http_hop import Progress, exchange, request
from name_lookup import Lookup, SystemLookup
from runtime import Call, Failure, Hand
from tunnel import Carried, carry
from url_parts import read
from web_failure import WebFailed


class Web(Hand):
    """Provides web.*."""

    lookup: Lookup

    async def start(self) -> None:
        """Makes the lookup, which belongs to this loop."""
        self.lookup = SystemLookup()
        self.trusted: tuple[str, SSLContext] | None = None

    async def fetch(
        self,
        call: Call,
        method: str = "GET",
        headers: Mapping[str, object] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (a param of the method; the deadline is kept in _told)
        most: int | None = None,
    ) -> dict[str, object]:
        """web.fetch: one request, its reply streamed. timeout: seconds; most: bytes, the smaller of it and the
        setting.
        """
        progress = Progress()
        whole = self.settings.of("timeout", float) if timeout is None else timeout
        largest = self.settings.of("most", int)
        bound = largest if most is None else min(most, largest)
        async with _told(progress, whole):
            url = read(call.resource)
            asked = request(url, method, headers or {})
            async with self._link(url.host, url.port, progress, tls=url.scheme == "https") as link:
                answer = await exchange(link, asked, call.resource, bound, call.send, progress)
                return {
                    **answer,
                    "address": str(link.address),
                    "connected_us": link.connected_us,
                    "first_byte_us": progress.first_byte_us,
                    "elapsed_us": progress.elapsed_us(),
                }

    async def connect(self, call: Call, timeout: float | None = None) -> dict[str, object]:  # noqa: ASYNC109
        """web.connect: a connection both ways. timeout: seconds for connecting; the call's deadline ends what
        follows.
        """
        host, _, port = call.resource.rpartition(":")
        progress, carried = Progress(), Carried()
        async with _told(progress, None):
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
        self, host: str, port: int, progress: Progress, *, tls: bool, seconds: float | None = None
    ) -> AsyncIterator[Link]:
        """A connection that is cut at the end, and is made within the setting's time."""
        allowance = read_allowance(self.settings.of("private", list))
        limit = self.settings.of("connect_timeout", float) if seconds is None else seconds
        clock = asyncio.timeout(limit)
        try:
            async with clock:
                link = await dial(
                    host, port, lookup=self.lookup, allowance=allowance, tls=self._trust() if tls else None
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

    def _trust(self) -> SSLContext:
        """Whom to believe; read anew when the setting changes."""
        authorities = self.settings.of("authorities", str)
        if self.trusted is None or self.trusted[0] != authorities:
            self.trusted = authorities, trust(authorities)
        return self.trusted[1]


@asynccontextmanager
async def _told(progress: Progress, seconds: float | None) -> AsyncIterator[None]:
    """Bounds the time, and turns what went wrong into the call's Failed."""
    clock = asyncio.timeout(seconds)
    try:
        async with clock:
            yield
    except WebFailed as failed:
        raise Failure(failed.code, failed.text, size=progress.size) from None
    except TimeoutError:
        if not clock.expired():
            raise
        text = f"The time was over after {seconds:g} s, while {progress.phase}."
        raise Failure("timeout", text, size=progress.size) from None
