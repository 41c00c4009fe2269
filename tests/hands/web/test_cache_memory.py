"""The cache stays within its size, and holds little in memory, however many wait for what goes into it or comes out of it."""

import asyncio
import errno
import os
import tracemalloc
from pathlib import Path
from typing import Any, Self

import pytest

from tests.hands.doubles import FakeCall, hand_module
from tests.hands.web.conftest import Names, answering, failure, fetch, reply, run, serving, site, started

cache = hand_module("web", "page_cache")


def test_the_cache_stays_within_its_size_and_lets_the_oldest_go(tmp_path: Path) -> None:
    kept = cache.PageCache(tmp_path / "cache", 10_000)
    for at in range(50):
        kept.put(cache.Kept(url=f"http://a/{at}", status=200, headers={}, address="", at=0.0, body=b"x" * 1000))
    assert sum(path.stat().st_size for path in (tmp_path / "cache").iterdir()) <= 10_000
    found = kept.find("http://a/49")
    assert (found.read(0, 2000), found.read(990, 5)) == (b"x" * 1000, b"x" * 5)
    found.close()
    assert kept.find("http://a/0") is None
    kept.put(cache.Kept(url="http://b/", status=200, headers={}, address="", at=0.0, body=b"x" * 20_000))
    assert kept.find("http://b/") is None


def _kept(at: int) -> object:
    return cache.Kept(url=f"http://a/{at}", status=200, headers={}, address="", at=0.0, body=b"x" * 1000)


def _there(kept: Any) -> list[int]:
    found = {at: kept.find(f"http://a/{at}") for at in range(9)}
    for one in found.values():
        if one is not None:
            one.close()
    return [at for at, one in found.items() if one is not None]


def test_where_there_is_no_room_the_oldest_half_goes_and_what_is_there_is_counted(tmp_path: Path) -> None:
    cache.PageCache(tmp_path, 1 << 20).put(_kept(0))
    (first,) = tmp_path.iterdir()
    size = first.stat().st_size
    cache.PageCache(tmp_path, size - 1).put(_kept(1))
    kept = cache.PageCache(tmp_path, 4 * size)
    assert _there(kept) == [0], "one alone that is too large takes nothing else's room"
    for at, age in ((1, 2), (2, 1), (3, 4)):
        kept.put(_kept(at))
        os.utime(kept._path(f"http://a/{at}"), (age, age))
    os.utime(first, (3, 3))
    assert _there(kept) == [0, 1, 2, 3]
    kept.put(_kept(4))
    assert _there(kept) == [3, 4]
    for at in (5, 6, 6, 4):
        kept.put(_kept(at))
    assert _there(kept) == [3, 4, 5, 6]
    cache.PageCache(tmp_path, 4 * size).put(_kept(7))
    assert len(_there(kept)) == 2
    cache.PageCache(tmp_path / "one", size).put(_kept(0))
    assert _there(cache.PageCache(tmp_path / "one", size)) == [0]


def test_one_that_the_disk_does_not_take_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(Path, "replace", full)
    cache.PageCache(tmp_path, 1 << 20).put(_kept(0))
    assert list(tmp_path.iterdir()) == []


def test_bodies_on_their_way_hold_no_more_room_than_there_is_and_give_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "BODY_MOST", 4)
    monkeypatch.setattr(cache, "GATHERED_MOST", 6)
    kept = cache.PageCache(tmp_path, 100)
    one, two = cache.Gathered(kept), cache.Gathered(kept)
    one.add(b"1234")
    two.add(b"12")
    assert (one.body, two.body, kept.gathered) == (b"1234", b"12", 6)
    two.add(b"3")
    assert (two.body, kept.gathered) == (None, 4)
    one.add(b"5")
    two.add(b"4")
    assert (one.body, two.body, kept.gathered) == (None, None, 0)


def test_what_the_operator_allows_no_more_does_not_come_out_of_the_cache(tmp_path: Path) -> None:
    async def once() -> tuple[str, str]:
        async with serving(answering(reply(b"of this machine"))) as server:
            hand, url = await started(), f"http://127.0.0.1:{server.port}/"
            hand.cache = cache.PageCache(tmp_path / "cache", 1 << 20)  # type: ignore[attr-defined]
            assert (await fetch(hand, url, max_age=60.0))[1]["cached"] is False
            assert (await fetch(hand, url, max_age=60.0))[1]["cached"] is True
            hand.settings.change({"private": []})
            return await failure(fetch(hand, url, max_age=60.0))

    assert run(once())[0] == "private address"


@pytest.mark.parametrize("unchanged", [0, 1], ids=["at-once", "after-a-304"])
def test_a_304_does_not_bring_back_what_the_operator_allows_no_more(tmp_path: Path, unchanged: int) -> None:
    """Where the name leads by now it is not told what was kept, and cannot have that served; nor by an earlier 304."""

    async def once() -> None:
        seen: list[str] = []
        names = Names(x_example=[("127.0.0.1",), ("127.0.0.2",)])
        not_modified = reply(status="304 Not Modified")
        later = site(seen, *[not_modified] * unchanged, reply(b"of the new one") if unchanged else not_modified)
        async with (
            serving(answering(reply(b"of the old one", 'ETag: "old"'))) as first,
            serving(later, host="127.0.0.2", port=first.port),
        ):
            hand, url = await started(names), f"http://x.example:{first.port}/"
            hand.cache = cache.PageCache(tmp_path / "cache", 1 << 20)  # type: ignore[attr-defined]
            for _ in range(1 + unchanged):
                assert (await fetch(hand, url, max_age=0.0))[0].sent == [b"of the old one"]
            hand.settings.change({"private": ["127.0.0.2"]})
            call, told = await fetch(hand, url, max_age=60.0 if unchanged else 0.0)
            assert (call.sent, told["cached"]) == ([b"of the new one"] if unchanged else [], False)
            assert "if-none-match" not in seen[unchanged]

    run(once())


def test_a_piece_that_finds_no_memory_takes_no_room_for_good(tmp_path: Path) -> None:
    class Full(bytearray):
        def __iadd__(self, piece: object) -> Self:
            raise MemoryError

    kept = cache.PageCache(tmp_path / "cache", 1 << 20)
    gathered = cache.Gathered(kept)
    gathered._body = Full()
    with pytest.raises(MemoryError):
        gathered.add(b"a piece")
    gathered.close()
    assert kept.gathered == 0


class Passing(FakeCall):
    """A caller who keeps nothing. slow: he takes no more than the first piece."""

    def __init__(self, resource: str, *, slow: bool) -> None:
        super().__init__(resource)
        self._slow = slow

    async def send(self, chunk: bytes) -> None:
        if self._slow:
            await asyncio.Event().wait()


async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A page that just may be kept; of one that is asked for as `/held`, the last byte does not come."""
    asked_for = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % cache.BODY_MOST)
    for _ in range(63):
        writer.write(bytes(64 * 1024))
        await writer.drain()
    if b"/held" in asked_for:
        await asyncio.Event().wait()
    writer.write(bytes(64 * 1024))
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("held", [True, False], ids=["on-its-way", "kept"])
def test_what_many_callers_wait_for_at_once_does_not_fill_the_memory(tmp_path: Path, held: bool) -> None:
    """One process answers for all: as many bodies may be held up as calls be open, by a server or by a caller."""

    async def all_of_them() -> int:
        async with serving(large) as server:
            hand = await started()
            hand.cache = cache.PageCache(tmp_path / "cache", 1 << 30)  # type: ignore[attr-defined]
            urls = [f"http://127.0.0.1:{server.port}/{'held' if held else 'kept'}{at}" for at in range(24)]

            async def one(url: str, slow: bool) -> None:
                await hand.fetch(Passing(url, slow=slow), max_age=60.0, timeout=60.0)  # type: ignore[attr-defined]

            for url in urls if not held else []:
                await one(url, slow=False)
            tracemalloc.start()
            tasks = [asyncio.create_task(one(url, slow=not held)) for url in urls]
            await asyncio.wait(tasks, timeout=4.0 if held else 1.0)
            assert not any(task.done() for task in tasks)
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return most

    assert run(all_of_them()) < 48 * 1024 * 1024
