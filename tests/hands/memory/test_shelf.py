"""The shelf: writes that wait share a sync, one that is refused alone is undone, files are closed and opened unseen."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from memory import keys, sessions
from memory.errors import Absent, Conflict, Full, Invalid
from memory.keys import Change
from memory.sessions import Said
from memory.store import Store
from tests.hands.doubles import hand_module

memory_shelf = hand_module("memory", "memory_shelf")
Shelf = memory_shelf.Shelf
T = TypeVar("T")
NOW = 1_000_000
OWN = "own/h-4kz8w1m3q0v7x2ab"


def run(folder: Path, work: Callable[..., Awaitable[T]], **more: int) -> T:
    """Do something with a shelf, and close it."""

    async def whole() -> T:
        shelf = Shelf(folder, now=lambda: NOW, quota=more.pop("quota", 1 << 30), **more)
        try:
            return await work(shelf)
        finally:
            await shelf.close()

    return asyncio.run(whole())


def put(key: str, value: bytes = b"\xc0", version: int | None = None) -> Callable[[Store], object]:
    return lambda store: keys.change(store, "", [Change(key=key, value=value, version=version)])


def say(store: Store) -> int:
    return sessions.append(store, "", [Said(role="user", text="hello")])


def get(key: str) -> Callable[[Store], bytes]:
    return lambda store: keys.get(store, "", key).value


def test_writes_that_wait_for_each_other_share_a_sync(tmp_path: Path) -> None:
    async def work(shelf: Any) -> int:
        await shelf.write(OWN, put("first"))
        commits: list[int] = []

        def count(connection: object, name: str, pages: int) -> int:
            commits.append(pages)
            return 0

        shelf._files[OWN]._store.connection.set_wal_hook(count)
        await asyncio.gather(*(shelf.write(OWN, put(f"key {number}")) for number in range(200)))
        listed = await shelf.read(OWN, lambda reader: keys.listed(reader, "", most=1_000))
        assert len(listed) == 201
        return len(commits)

    assert run(tmp_path, work) <= 4


def test_a_refused_write_undoes_itself_and_none_of_those_beside_it(tmp_path: Path) -> None:
    async def work(shelf: Any) -> list[object]:
        def half(store: Store) -> None:
            put("half")(store)
            raise Invalid("on second thoughts")

        def broken(store: Store) -> None:
            put("broken")(store)
            raise ZeroDivisionError

        await shelf.write(OWN, put("a"))
        told: list[object] = await asyncio.gather(
            *(shelf.write(OWN, one) for one in (put("a", version=0), put("b"), half, broken, put("c"))),
            return_exceptions=True,
        )
        rows = await shelf.read(OWN, lambda reader: [row.key for row in keys.listed(reader, "")])
        assert rows == ["a", "b", "c"]
        return told

    conflict, b, half, broken, c = run(tmp_path, work)
    assert isinstance(conflict, Conflict)
    assert isinstance(half, Invalid)
    assert isinstance(broken, ZeroDivisionError)
    assert (b, c) == ((1,), (1,))


def test_nobody_loses_an_update_whoever_writes_at_once(tmp_path: Path) -> None:
    async def work(shelf: Any) -> None:
        async def count(owner: str) -> None:
            for _ in range(10):
                while True:
                    try:
                        found = await shelf.read(owner, lambda reader: keys.get(reader, "", "n"))
                        value, version = found.value[0], found.version
                    except Absent:
                        value, version = 0, 0
                    try:
                        await shelf.write(owner, put("n", bytes([value + 1]), version))
                        break
                    except Conflict:
                        continue

        owners = [f"shared/team-{number}" for number in range(3)]
        await asyncio.gather(*(count(owner) for owner in owners for _ in range(10)))
        for owner in owners:
            assert await shelf.read(owner, get("n")) == bytes([100])

    run(tmp_path, work)


def open_files(folder: Path) -> set[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith(str(folder)) and target.endswith(".db"):
            found.add(target)
    return found


def test_files_that_nobody_is_at_are_closed_and_opened_again(tmp_path: Path) -> None:
    async def work(shelf: Any) -> None:
        for turn in range(3):
            for number in range(12):
                owner = f"shared/s{number}"
                await shelf.write(owner, put(f"turn {turn}"))
                assert len(await shelf.read(owner, lambda reader: keys.listed(reader, ""))) == turn + 1
            assert len(open_files(tmp_path)) <= 5
        await asyncio.gather(*(shelf.write(f"shared/s{n % 12}", put(f"more {n}")) for n in range(120)))
        for number in range(12):
            listed = await shelf.read(f"shared/s{number}", lambda reader: keys.listed(reader, ""))
            assert len(listed) == 13

    run(tmp_path, work, open_most=3)
    assert open_files(tmp_path) == set()
    assert not [*tmp_path.glob("*/*-wal")]


@pytest.mark.wide
def test_many_memories_at_once_take_no_more_descriptors_than_there_are(tmp_path: Path) -> None:
    most: list[int] = []

    def counted(store: Store) -> object:
        most.append(len(os.listdir("/proc/self/fd")))
        return put("a")(store)

    async def work(shelf: Any) -> None:
        owners = [f"shared/s{number}" for number in range(110)]
        await asyncio.gather(
            *(shelf.write(owner, counted) for owner in owners),
            *(shelf.read(owner, lambda reader: keys.listed(reader, "")) for owner in owners),
        )
        for owner in owners[::50]:
            assert await shelf.read(owner, get("a")) == b"\xc0"

    run(tmp_path, work)
    assert max(most) < 600
    assert len(most) == 110


def test_who_only_asks_makes_no_file_and_hears_the_same_words(tmp_path: Path) -> None:
    async def work(shelf: Any) -> list[str]:
        await shelf.write("shared/there", put("other"))
        told = []
        for owner in ("shared/there", "shared/never", OWN):
            with pytest.raises(Absent) as absent:
                await shelf.read(owner, get("key"))
            told.append(str(absent.value))
        return told

    assert len(set(run(tmp_path, work))) == 1
    assert [path.name for path in tmp_path.rglob("*.db")] == ["there.db"]


def test_a_file_whose_first_writes_fail_goes_when_who_reads_it_has_read(tmp_path: Path) -> None:
    def refuse(store: Store) -> None:
        raise Invalid("no")

    async def work(shelf: Any) -> bool:
        writing, reading, done = threading.Event(), threading.Event(), threading.Event()

        def late(store: Store) -> None:
            writing.set()
            assert reading.wait(10)
            refuse(store)

        def read(reader: Any) -> list[object]:
            reading.set()
            assert done.wait(10)
            return list(reader.rows("SELECT 1 FROM keys"))

        failing = asyncio.ensure_future(shelf.write(OWN, late))
        await asyncio.to_thread(writing.wait, 10)
        asked = asyncio.ensure_future(shelf.read(OWN, read))
        with pytest.raises(Invalid):
            await failing
        was_there = bool(shelf.path_of(OWN).exists())
        done.set()
        assert await asked == []
        return was_there

    assert run(tmp_path, work)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_of_writes_that_made_a_file_one_that_is_good_keeps_it(tmp_path: Path) -> None:
    async def work(shelf: Any) -> bytes:
        bad = [shelf.write(OWN, put("key", version=9)) for _ in range(3)]
        outcomes = await asyncio.gather(*bad, shelf.write(OWN, put("key", b"\xc3")), return_exceptions=True)
        assert sum(isinstance(one, Conflict) for one in outcomes) == 3
        return bytes(await shelf.read(OWN, get("key")))

    assert run(tmp_path, work) == b"\xc3"


def test_who_is_alone_with_a_file_waits_for_others_and_they_for_him(tmp_path: Path) -> None:
    async def work(shelf: Any) -> None:
        def replaced(path: Path) -> int:
            assert not Path(f"{path}-wal").exists()
            store = Store(path, now=lambda: NOW)
            count = len(keys.listed(store, "", most=1_000))
            store.close()
            path.unlink()
            return count

        first = [asyncio.create_task(shelf.write(OWN, put(f"{number}"))) for number in range(20)]
        await asyncio.sleep(0)
        alone = asyncio.create_task(shelf.exclusively(OWN, replaced))
        await asyncio.sleep(0)
        late = [asyncio.create_task(shelf.write(OWN, put(f"late {number}"))) for number in range(20)]
        assert await alone == 20
        await asyncio.gather(*first, *late)
        assert len(await shelf.read(OWN, lambda reader: keys.listed(reader, ""))) == 20

    run(tmp_path, work)


def test_a_full_quota_refuses_writes_and_neither_reads_nor_deletes(tmp_path: Path) -> None:
    async def work(shelf: Any) -> None:
        number = 0
        with pytest.raises(Full, match="the quota of this memory, 1048576 bytes, is used up"):
            while True:
                await shelf.write(OWN, put(f"{number}", bytes(20_000)))
                number += 1
        assert number > 20
        told = await asyncio.gather(
            *(shelf.write(OWN, put(f"more {n}", bytes(20_000))) for n in range(5)), return_exceptions=True
        )  # fmt: skip
        assert {type(one) for one in told} == {Full}
        rooms = [shelf.write(OWN, say, frees=True) for _ in range(6)]
        mixed = await asyncio.gather(
            *rooms[:3], shelf.write(OWN, put("big", bytes(900_000))), *rooms[3:], return_exceptions=True
        )
        assert isinstance(mixed.pop(3), Full)  # which undoes them all, and each is made again, once
        assert set(mixed) == {1, 2, 3, 4, 5, 6}
        assert await shelf.read(OWN, lambda reader: sessions.last_number(reader, "")) == 6
        assert len(await shelf.read(OWN, get("0"))) == 20_000
        for gone in range(5):
            await shelf.write(
                OWN, lambda store, gone=gone: keys.change(store, "", [Change(key=f"{gone}", value=None)]), frees=True
            )
        await shelf.write(OWN, put("new", bytes(20_000)))
        shelf.quota = 1 << 24
        for n in range(50):
            await shelf.write(OWN, put(f"more {n}", bytes(20_000)))

    run(tmp_path, work, quota=1 << 20)
    assert (tmp_path / f"{OWN}.db").stat().st_size > 1 << 20


@pytest.mark.parametrize("page", [512, 65_536])
def test_a_quota_is_of_bytes_whatever_pages_a_restored_copy_has(tmp_path: Path, page: int) -> None:
    path, quota = tmp_path / f"{OWN}.db", 1 << 23
    path.parent.mkdir()
    store = Store(path, now=lambda: NOW)
    for setting in ("journal_mode = DELETE", f"page_size = {page}"):
        store.connection.execute(f"PRAGMA {setting}")
    store.connection.execute("VACUUM")
    store.close()

    async def work(shelf: Any) -> None:
        with pytest.raises(Full, match=f"the quota of this memory, {quota} bytes, is used up"):
            for number in range(200):
                await shelf.write(OWN, put(f"{number}", bytes(100_000)))

    run(tmp_path, work, quota=quota)
    assert quota - 200_000 < path.stat().st_size <= quota


def test_one_that_is_waited_for_no_more_harms_nobody(tmp_path: Path) -> None:
    async def work(shelf: Any) -> None:
        for number in range(30):
            tasks = [
                asyncio.create_task(shelf.write(OWN, put(f"{number}"))),
                asyncio.create_task(shelf.read(OWN, lambda reader: keys.listed(reader, ""))),
            ]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
        await shelf.write(OWN, put("last"))
        listed = await shelf.read(OWN, lambda reader: keys.listed(reader, ""))
        assert "last" in [row.key for row in listed]

    run(tmp_path, work)


def test_who_reads_reads_one_moment_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    async def work(shelf: Any) -> tuple[int, int]:
        await shelf.write(OWN, put("first"))
        reading, written = threading.Event(), threading.Event()

        def twice(reader: Any) -> tuple[int, int]:
            before = len(keys.listed(reader, ""))
            reading.set()
            assert written.wait(10)
            return before, len(keys.listed(reader, ""))

        asked = asyncio.ensure_future(shelf.read(OWN, twice))
        await asyncio.to_thread(reading.wait, 10)
        await shelf.write(OWN, put("second"))
        written.set()
        found: tuple[int, int] = await asked
        return found

    assert run(tmp_path, work) == (1, 1)


def test_a_write_is_told_of_in_its_order_though_its_caller_has_gone(tmp_path: Path) -> None:
    async def work(shelf: Any) -> list[object]:
        told: list[object] = []
        tasks = [
            asyncio.create_task(shelf.write(OWN, lambda store: say(store), then=told.append)) for _ in range(20)
        ]  # fmt: skip
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with pytest.raises(Conflict):
            await shelf.write(OWN, put("a", version=7), then=told.append)
        assert await shelf.read(OWN, lambda reader: sessions.last_number(reader, "")) == 20
        return told

    assert run(tmp_path, work) == [*range(1, 21)]


def test_a_write_is_made_though_what_has_expired_cannot_be_swept(tmp_path: Path) -> None:
    async def life(*works: Callable[[Store], object]) -> list[object]:
        shelf = Shelf(tmp_path, now=lambda: NOW + 10 * 60_000_000 * len(works), quota=1 << 30)
        told = [await shelf.write(OWN, work) for work in works]
        await shelf.close()
        return told

    expiring = Change(key="a", value=b"\xc0", expires=NOW + 10 * 60_000_000 + 1)
    asyncio.run(life(lambda store: keys.change(store, "", [expiring])))
    path = tmp_path / f"{OWN}.db"
    store = Store(path, now=lambda: NOW)
    ((root,),) = store.rows("SELECT rootpage FROM sqlite_schema WHERE name = 'counters'")
    store.close()
    with path.open("r+b") as file:
        file.seek((int(str(root)) - 1) * 4096)
        file.write(b"\xff" * 4096)
    assert asyncio.run(life(say, say)) == [1, 2]
