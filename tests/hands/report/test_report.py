"""An artefact is kept whole or not at all, once however often it is handed in, and for its own namespace."""

import asyncio
import hashlib
import os
import resource
import shutil
from collections.abc import AsyncIterator, Coroutine, Iterable
from pathlib import Path
from typing import TypeVar

import pytest

from tests.hands.doubles import FakeCall, hand_module, seated

main = hand_module("report", "main")
T = TypeVar("T")
OWN = "own/h-1"


class Desk:
    """A started Hand; each method makes one call."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.hand = seated(main.Report, "report", folder, {}, **settings)
        self.run(self.hand.start())

    def run(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run(work)

    def ask(self, method: str, resource: str = OWN, **arguments: object) -> dict[str, object]:
        reply: dict[str, object] = self.run(getattr(self.hand, method)(FakeCall(resource), **arguments))
        return reply

    def put(
        self, *chunks: bytes, title: str = "Report", resource: str = OWN, labels: Iterable[str] = (), **more: object
    ) -> dict[str, object]:
        call = FakeCall(resource, upload=chunks, labels=labels)
        reply: dict[str, object] = self.run(self.hand.put(call, title, **more))
        return reply

    def read(self, name: object, resource: str = OWN) -> tuple[bytes, set[str]]:
        call = FakeCall(resource)
        self.run(self.hand.read(call, str(name)))
        return call.body, set(call.added)

    @property
    def files(self) -> int:
        return sum(1 for _ in (self.folder / "state").glob("bytes/*"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_text_and_a_stream_come_back_as_they_were(desk: Desk) -> None:
    text = desk.ask("put", title="Words", text="# Ä\n")
    streamed = desk.put(b"\x89P", b"NG", title="Picture", type="image/png")
    assert desk.read(text["id"])[0] == "# Ä\n".encode()
    assert desk.read(streamed["id"])[0] == b"\x89PNG"
    assert streamed["sha256"] == hashlib.sha256(b"\x89PNG").hexdigest()
    rows = desk.ask("list")["artifacts"]
    assert isinstance(rows, list)
    assert [(row["title"], row["type"], row["size"]) for row in rows] == [
        ("Picture", "image/png", 4),
        ("Words", "text/markdown", 5),
    ]


def test_the_same_handed_in_again_is_the_same(desk: Desk) -> None:
    first = desk.put(b"a")
    made = desk.ask("list")["artifacts"]
    assert desk.put(b"a") == first
    assert desk.ask("list")["artifacts"] == made
    assert desk.files == 1
    others = [
        desk.put(b"b"),
        desk.put(b"a", title="Other"),
        desk.put(b"a", type="text/csv"),
        desk.put(b"a", resource="own/h-2"),
    ]
    assert len({str(one["id"]) for one in (first, *others)}) == 5


def test_any_artefact_is_found_by_the_beginning_of_its_id_however_many_came_later(desk: Desk) -> None:
    first = str(desk.put(b"first")["id"])
    rows = [("own/h-2", f"{number:024x}", "t", "text/plain", 1, "", f"9{number:04}", "") for number in range(700)]
    desk.hand.shelf._file.connection.executemany("insert into artefacts values (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def found(begins: str) -> list[str]:
        listed = desk.ask("all", "", begins=begins, most=2)["artifacts"]
        assert isinstance(listed, list)
        return [str(row["id"]) for row in listed]

    assert found(first[:8]) == found(first) == [first]
    assert found(f"{5:024x}") == [f"{5:024x}"]
    assert len(found("0000")) == 2
    for none in ("zzz", "%", "*", first + "0", "' or 1 --"):
        assert found(none) == []


def test_an_artefact_is_its_own_namespaces(desk: Desk) -> None:
    mine = desk.put(b"mine")
    for name in (mine["id"], "../artefacts.sqlite", "", "*"):
        with pytest.raises(main.Failure) as failed:
            desk.read(name, "own/h-2")
        assert failed.value.code == "not found"
    assert desk.ask("remove", "own/h-2", id=mine["id"]) == {"removed": False}
    assert desk.ask("list", "own/h-2")["artifacts"] == []
    assert [row["namespace"] for row in desk.ask("all", "")["artifacts"]] == [OWN]  # type: ignore[attr-defined]
    assert desk.ask("remove", id=mine["id"]) == {"removed": True}
    assert desk.files == 0


def test_one_that_breaks_off_or_is_too_large_leaves_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, most=10, each=15)

    async def breaking() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError("broken")

    with pytest.raises(ValueError):
        desk.run(desk.hand.put(FakeCall(OWN, upload=breaking()), "Half"))
    for chunks in ((b"a" * 11,), (b"a" * 6, b"a" * 5)):
        with pytest.raises(main.Failure) as failed:
            desk.put(*chunks)
        assert failed.value.code == "too large"
    desk.put(b"a" * 10)
    with pytest.raises(main.Failure):
        desk.put(b"b" * 6)
    desk.put(b"b" * 6, resource="own/h-2")
    assert desk.files == 2


def test_the_same_again_is_the_same_also_where_no_room_is_left(tmp_path: Path) -> None:
    desk = Desk(tmp_path, most=6, each=10)
    first = desk.put(b"a" * 6)
    assert desk.put(b"a" * 6) == first
    with pytest.raises(main.Failure, match="all artefacts here have at most 10 bytes") as failed:
        desk.put(b"b" * 5)
    assert failed.value.code == "too large"
    desk.run(desk.hand.stop())
    less = Desk(tmp_path, most=6, each=5)
    assert less.put(b"a" * 6) == first
    assert (less.files, less.hand.coming[OWN]) == (1, 0)


def test_what_comes_at_once_is_bounded_before_it_is_whole(tmp_path: Path) -> None:
    """All that a namespace has on disk is at most `each` and one artefact."""
    desk = Desk(tmp_path, most=6, each=10)
    desk.put(b"a" * 6)
    desk.put(b"b" * 3)
    begun: list[str] = []
    whole: list[str] = []

    async def five(title: str, are_two: asyncio.Event) -> AsyncIterator[bytes]:
        yield b"x" * 3
        begun.append(title)
        if len(begun) == 2:
            are_two.set()
        await are_two.wait()
        yield b"x" * 2
        whole.append(title)

    async def both() -> list[object]:
        two = asyncio.Event()
        puts = (desk.hand.put(FakeCall(OWN, upload=five(title, two)), title) for title in ("one", "two"))
        return list(await asyncio.gather(*puts, return_exceptions=True))

    told = desk.run(both())
    assert [getattr(one, "code", "") for one in told] == ["too large"] * 2
    assert len(whole) == 1
    assert (desk.files, desk.hand.coming[OWN]) == (2, 0)


def test_a_disk_that_is_full_is_told_and_neither_bytes_nor_room_are_lost(tmp_path: Path) -> None:
    """/dev/full takes nothing, as a full disk: it shows when what was buffered is written."""
    desk = Desk(tmp_path)
    full = os.open("/dev/full", os.O_WRONLY)

    async def filled() -> AsyncIterator[bytes]:
        yield b"x"
        (part,) = (tmp_path / "state/bytes").iterdir()
        (draft,) = (number for number in map(int, os.listdir("/proc/self/fd")) if _is(number, part))
        os.dup2(full, draft)

    for _ in range(2):
        with pytest.raises(main.Failure, match="No space left") as failed:
            desk.run(desk.hand.put(FakeCall(OWN, upload=filled()), "Report"))
        assert failed.value.code == "disk"
        assert (desk.files, desk.hand.coming[OWN]) == (0, 0)
    os.close(full)
    (tmp_path / "state/bytes").rmdir()
    (tmp_path / "state/bytes").write_bytes(b"")
    with pytest.raises(main.Failure) as failed:
        desk.put(b"x")
    assert failed.value.code == "disk"


def _is(number: int, path: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{number}") == str(path)
    except FileNotFoundError:
        return False  # the one by which the folder was listed


def test_a_namespace_has_no_more_artefacts_than_it_may_and_the_same_again_is_none_more(tmp_path: Path) -> None:
    desk = Desk(tmp_path, count=2)
    first = desk.put(b"")
    desk.put(b"b")
    with pytest.raises(main.Failure, match="there are 2 artefacts here: remove one") as failed:
        desk.put(b"c")
    assert failed.value.code == "too many"
    assert desk.files == 2
    assert desk.put(b"") == first
    desk.put(b"c", resource="own/h-2")
    desk.ask("remove", id=first["id"])
    desk.put(b"c")


def test_what_was_kept_outlives_its_process_and_what_a_kill_left_is_swept(desk: Desk, tmp_path: Path) -> None:
    kept = desk.put(b"kept")
    (tmp_path / "state/bytes/0123.part").write_bytes(b"half")
    shutil.copytree(tmp_path / "state", tmp_path / "killed/state")  # what lay on the disk while it lived
    again = Desk(tmp_path / "killed")
    assert again.read(kept["id"])[0] == b"kept"
    assert again.files == 1


def test_labels_of_whoever_handed_it_in_come_back(desk: Desk) -> None:
    first = desk.put(b"a", labels=("web",))
    desk.put(b"a", labels=("mail",))
    assert desk.read(first["id"])[1] == {"web", "mail"}
    call = FakeCall(OWN)
    desk.run(desk.hand.list(call))
    assert call.added == {"web", "mail"}
    for number in range(2):
        desk.put(b"a", labels=[f"{number}-{one}" for one in range(60)])
    assert desk.read(first["id"])[1] == {"*"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"title": "", "text": "a"},
        {"title": "x" * 301, "text": "a"},
        {"title": "a\0b", "text": "a"},
        {"title": "a", "text": "a", "type": "html"},
        {"title": "a", "text": "a", "type": "text/html; charset=x"},
        {"title": "a"},
    ],
)
def test_what_is_no_artefact_is_told(desk: Desk, arguments: dict[str, object]) -> None:
    with pytest.raises(main.Failure) as failed:
        desk.run(desk.hand.put(FakeCall(OWN), **arguments))
    assert failed.value.code == "arguments"
    assert desk.files == 0


def test_two_that_come_at_once_have_no_more_room_together_than_one_after_the_other(tmp_path: Path) -> None:
    desk = Desk(tmp_path, each=1_000, most=1_000)
    taken, others = asyncio.Event(), asyncio.Event()

    async def first() -> AsyncIterator[bytes]:
        yield b"x" * 600
        taken.set()
        await others.wait()

    async def second() -> AsyncIterator[bytes]:
        await taken.wait()
        others.set()
        yield b"y" * 600

    async def put(title: str, pieces: AsyncIterator[bytes]) -> object:
        return await desk.hand.put(FakeCall(OWN, upload=pieces), title)

    async def all_of_it() -> tuple[object, object]:
        return await asyncio.gather(put("one", first()), put("two", second()), return_exceptions=True)

    told = desk.run(all_of_it())
    assert sum(isinstance(one, main.Failure) and one.code == "too large" for one in told) == 1, told
    assert desk.files == 1
    with pytest.raises(main.Failure, match="at most 1000 bytes"):
        desk.put(b"x" * 401, title="three")
    desk.put(b"y" * 400, title="three")


def test_a_removal_that_the_disk_has_no_room_for_is_told_and_removes_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    name = str(desk.put(b"x", title="one")["id"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # no file of this process takes another byte
    try:
        with pytest.raises(main.Failure, match="it could not be removed") as failed:
            desk.ask("remove", id=name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert failed.value.code == "disk"
    assert desk.read(name)[0] == b"x"
    assert desk.ask("remove", id=name) == {"removed": True}


def test_what_the_table_has_no_room_for_is_told_and_leaves_no_bytes(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.hand.shelf._file.connection.pragma("max_page_count", 8)  # SQLite's own words for a disk that is full
    kept = 0
    with pytest.raises(main.Failure, match="full") as failed:
        while kept < 1_000:
            desk.put(b"x", title=f"{kept} {'t' * 250}")
            kept += 1
    assert failed.value.code == "disk"
    assert desk.files == kept
