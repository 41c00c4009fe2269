"""Measures twenty Hands that fetch a thousand pages through web.fetch, beside the HTTP library alone (acts).

Both fetch the same pages from the same server on loopback, a process of its own, twenty at a time with a connection for
each page. Alone means the modules with which the Hand `web` speaks HTTP (h11 over asyncio's streams, each address checked
before a connection), in one process, without kernel, bus or log. The server takes the time, from the first request that it
sees to its last reply; all Hands have started by then, and wait for the same moment.
"""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kernel.cli import installing, package
from kernel.cli.bundled import HANDS
from manifests.grants import requested
from tests.bench.samples import Row
from tests.living import Kernel, Source, install, make_home, seal_key

PAGES: Final = 1000
HANDS_AT_ONCE: Final = 20
SIZE: Final = 20 * 1024
TO_START: Final = 5.0
"""Seconds that the Hands have to start."""

SERVER: Final = """
import asyncio, json, sys, time
size = int(sys.argv[1])
body = b"x" * size
head = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: %d\\r\\n\\r\\n" % size
seen = []
async def talk(reader, writer):
    began = time.monotonic()
    path = (await reader.readuntil(b"\\r\\n\\r\\n")).split()[1]
    if path == b"/seen":
        told = json.dumps([len(seen), (max(b for a, b in seen) - min(a for a, b in seen)) if seen else 0]).encode()
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(told) + told)
        seen.clear()
    else:
        writer.write(head + body)
    await writer.drain()
    if path != b"/seen":
        seen.append((began, time.monotonic()))
    writer.close()
async def main():
    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

ALONE: Final = """
import asyncio, sys
sys.path[:0] = sys.argv[1:3]
from address_check import read_allowance
from dialling import dial
from http_hop import Progress, exchange, request
from url_parts import read
base, pages, at_once = sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
allowance = read_allowance(["127.0.0.0/8"])
async def lookup(host): raise AssertionError
async def send(piece): pass
async def work(count):
    for number in range(count):
        url = f"{base}/{number}"
        parts = read(url)
        link = await dial(parts.host, parts.port, lookup=lookup, allowance=allowance)
        await exchange(link, request(parts, "GET", {}), url, 1 << 20, send, Progress())
        link.cut()
async def main():
    await asyncio.gather(*(work(pages // at_once) for _ in range(at_once)))
asyncio.run(main())
"""

FETCHER: Final = Source(
    """
[hand]
name = "fetcher"
version = "1.0.0"
description = "Fetches pages."
entry = "main:Fetcher"
kind = "task"
autonomy = "full"

[capabilities]
"web.fetch" = ["http://127.0.0.1:*/**"]

[limits]
calls_per_minute = 6000000
""",
    """
from runtime import Hand


class Fetcher(Hand):
    async def run(self, base: str, first: int, count: int, at: float) -> int:
        await self.sleep(max(0.0, at - self.now().timestamp()))
        got = 0
        for number in range(first, first + count):
            async with self.kernel.stream("web.fetch", f"{base}/{number}") as stream:
                async for chunk in stream:
                    got += len(chunk)
        return got
""",
)


@contextmanager
def site() -> Iterator[str]:
    """Run the server; yields its address."""
    words = [sys.executable, "-I", "-c", SERVER, str(SIZE)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def ask_seconds(base: str) -> float:
    """Ask the server how many seconds the pages took, from the first request to the last reply."""
    with urllib.request.urlopen(f"{base}/seen", timeout=10) as reply:
        count, seconds = json.loads(reply.read())
    assert count == PAGES, count
    return float(seconds)


def rate_alone(base: str) -> float:
    """Fetch all pages by the library alone; pages per second."""
    folder = Path(HANDS)
    words = [str(folder / "web"), str(folder.parent), base, str(PAGES), str(HANDS_AT_ONCE)]
    subprocess.run([sys.executable, "-B", "-c", ALONE, *words], check=True, timeout=120)
    return PAGES / ask_seconds(base)


def rate_through_hands(kernel: Kernel, base: str) -> float:
    """Fetch all pages by Hands, all of which have started before the first fetch; pages per second."""
    each, begins = PAGES // HANDS_AT_ONCE, time.time() + TO_START
    with kernel.client() as client:
        runs = []
        for at in range(HANDS_AT_ONCE):
            inputs = {"base": base, "first": at * each, "count": each, "at": begins}
            value = client.call("kernel.start", "fetcher", {"inputs": inputs}).value
            assert isinstance(value, dict)
            runs.append(str(value["run"]))
        assert time.time() < begins, "the Hands were not up in time"
        while (rows := client.call("kernel.ps").value) and _live(rows, runs):
            time.sleep(0.1)
    return PAGES / ask_seconds(base)


def _live(rows: object, runs: list[str]) -> bool:
    return any(run in str(rows) for run in runs)


def measure(folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Pages per second of each round: (through Hands, by the library alone)."""
    home = make_home(folder / "home")
    hands, bare = list[float](), list[float]()
    with site() as base, Kernel(home) as kernel:
        install(kernel, FETCHER)
        with kernel.client() as client:
            web = package.read(str(Path(HANDS) / "web"), skip_caches=True)
            installing.install(client, web, package.make_seal(web, seal_key(home)), requested(web.manifest))
            client.call("kernel.set", "web", {"values": {"private": ["127.0.0.0/8"]}})
        for _ in range(rounds):
            bare.append(rate_alone(base))
            hands.append(rate_through_hands(kernel, base))
    return hands, bare


def pages(folder: Path, rounds: int) -> list[Row]:
    """Measure the pages per second of Hands, beside those of the library alone."""
    hands, bare = measure(folder, rounds)
    return [
        Row(
            name="pages",
            what=f"web.fetch of {PAGES} pages of {SIZE // 1024} KiB by {HANDS_AT_ONCE} Hands, each page logged and on a tape",
            unit="pages/s",
            ours=tuple(hands),
            bare=tuple(bare),
            judged="ratio",
            limit=0.5,
            at_least=True,
            note="beside h11 alone, one connection a page in both",
        )
    ]
