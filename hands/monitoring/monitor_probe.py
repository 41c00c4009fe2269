"""Looks at one target through the Hands that may touch it (acts; thin): machine, files and web.

Every end of a call is an observation: a refused or failed call is a state of its target, never a crash. The clock is an
argument. A look is one call; but for redirects, each hop is a call on the new URL under this Hand's own grants.
"""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urljoin

from manifests.capabilities import url as urls
from manifests.errors import ResourceInvalid
from monitor_reading import (
    REDIRECTS,
    Counters,
    Observation,
    absent_file,
    failed_endpoint,
    location,
    read_endpoint,
    read_file,
    read_machine,
    read_processes,
    unchecked,
    whole,
)
from monitor_settings import Target
from runtime import CallCancelled, CallFailed, CallRefused, KernelHandle, Reply

BODY_MOST: Final = 4 << 20
"""Most bytes of a page; a longer one needs `head = true`."""

STOPPED: Final = frozenset(("paused", "frozen"))


class Prober:
    """Looks at targets. kernel: the Hand's handle. clock: epoch milliseconds. Keeps network counters, for rates."""

    def __init__(self, kernel: KernelHandle, clock: Callable[[], int]) -> None:
        self._kernel = kernel
        self._clock = clock
        self._counters: Counters | None = None

    async def look(self, target: Target, *, counts: bool = True) -> Observation | None:
        """Makes one look. None if this Hand itself is paused or frozen, which says nothing about the target.

        counts: whether the next rates are computed since this look.
        """
        at = self._clock()
        try:
            match target.kind:
                case "machine":
                    return await self._machine(target, at, counts=counts)
                case "process":
                    return await self._process(target, at)
                case "file":
                    return await self._file(target, at)
                case "http":
                    return await self._http(target, at)
                case "tcp":
                    return await self._tcp(target, at)
        except CallRefused as refused:
            if refused.code in STOPPED:
                return None
            return unchecked(target.name, at, f"refused ({refused.code}): {refused.why}")
        except CallCancelled:
            return unchecked(target.name, at, "the call was cancelled")
        except CallFailed as failed:
            return self._failed(target, at, failed)

    def _failed(self, target: Target, at: int, failed: CallFailed) -> Observation:
        if target.kind == "file" and failed.code == "not found":
            return absent_file(target.name, at, failed.text)
        if target.kind in ("http", "tcp"):
            return failed_endpoint(target.name, at, failed.code, failed.text)
        return unchecked(target.name, at, f"{failed.code}: {failed.text}")

    async def _machine(self, target: Target, at: int, *, counts: bool) -> Observation:
        reply = await self._kernel.call("machine.stats", timeout=_seconds(target))
        seen, counters = read_machine(target.name, at, reply.value, self._counters)
        if counts:
            self._counters = counters
        return seen

    async def _process(self, target: Target, at: int) -> Observation:
        reply = await self._kernel.call("machine.processes", timeout=_seconds(target), match=target.subject)
        return read_processes(target.name, at, reply.value)

    async def _file(self, target: Target, at: int) -> Observation:
        reply = await self._kernel.call("files.stat", target.subject, timeout=_seconds(target))
        return read_file(target.name, at, reply.value)

    async def _tcp(self, target: Target, at: int) -> Observation:
        """Probes a port: `web` answers an upload without a byte as soon as the connection is made."""
        async with self._kernel.stream("web.connect", target.subject, timeout=_seconds(target), upload=True) as stream:
            await stream.finish()
            async for _ in stream:
                pass
            reply = stream.reply
        metrics = {"up": 1.0, "latency_ms": whole(_table(reply).get("connected_us")) / 1000}
        return Observation(target=target.name, at=at, metrics=metrics)

    async def _http(self, target: Target, at: int) -> Observation:
        here, elapsed, seen = target.subject, 0, set[str]()
        for _ in range(target.follow + 1):
            seen.add(here)
            value, size, found_text = await self._fetch(target, here)
            status = whole(value.get("status"))
            elapsed += whole(value.get("elapsed_us"))
            onward = location(value)
            follows = target.follow > 0 and status in REDIRECTS and onward and target.expect not in REDIRECTS
            if not follows:
                return read_endpoint(
                    target.name,
                    at,
                    status=status,
                    elapsed_us=elapsed,
                    body_bytes=size,
                    expect=target.expect,
                    contains=target.contains,
                    found_text=found_text,
                )
            try:
                here = urls.normalise(urljoin(here, onward))
            except (ResourceInvalid, ValueError):
                return failed_endpoint(target.name, at, "redirect", "it leads to something that is not a URL")
            if here in seen:
                return failed_endpoint(target.name, at, "redirect", f"it goes round in a circle at {here}")
        return failed_endpoint(target.name, at, "redirect", f"more than {target.follow} hops")

    async def _fetch(self, target: Target, url: str) -> tuple[Mapping[object, object], int, bool]:
        """One hop: (reply, bytes received, whether the wanted text was among them, across chunks too)."""
        wanted = target.contains.encode()
        verb = "HEAD" if target.head else "GET"
        tail, size, found = b"", 0, False
        async with self._kernel.stream("web.fetch", url, timeout=_seconds(target), method=verb) as stream:
            async for chunk in stream:
                size += len(chunk)
                if size > BODY_MOST:
                    mend = "set head = true" + (" instead of contains" if wanted else "")
                    raise CallFailed("too large", f"the page is longer than {BODY_MOST} bytes; {mend}")
                if wanted and not found:
                    tail += chunk
                    found = wanted in tail
                    tail = tail[-len(wanted) :]
            reply = stream.reply
        return _table(reply), size, found


def _seconds(target: Target) -> float:
    return target.timeout_ms / 1000


def _table(reply: Reply) -> Mapping[object, object]:
    """A reply's value; empty if it is not a table."""
    return dict(reply.value.items()) if isinstance(reply.value, dict) else {}
