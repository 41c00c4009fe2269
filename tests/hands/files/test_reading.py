"""files.read, files.stat and files.list: what is told is what is there."""

import hashlib
import os
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hands.doubles import FakeCall, hand_module
from tests.hands.files.conftest import Desk

folder_view = hand_module("files", "folder_view")
Failure = hand_module("files", "main").Failure


def listed(desk: Desk, resource: str, **arguments: object) -> tuple[list[str], bool]:
    reply = desk.run(desk.hand.list(FakeCall(resource), **arguments))
    return [entry["name"] for entry in reply["entries"]], reply["more"]


def test_a_large_file_comes_in_chunks_with_its_digest(desk: Desk, root: Path) -> None:
    content = bytes(range(256)) * 3000
    (root / "a").write_bytes(content)
    call = FakeCall("root/a")
    reply = desk.run(desk.hand.read(call))
    assert call.body == content
    assert max(map(len, call.sent)) == 256 * 1024
    assert reply["size"] == len(content)
    assert reply["sha256"] == hashlib.sha256(content).hexdigest()
    assert reply["changed"] is False


@pytest.mark.parametrize(
    ("arguments", "part"),
    [({"offset": 2}, b"234"), ({"length": 2}, b"01"), ({"offset": 1, "length": 3}, b"123"), ({"offset": 9}, b"")],
)
def test_a_part_is_read(desk: Desk, root: Path, arguments: dict[str, int], part: bytes) -> None:
    (root / "a").write_bytes(b"01234")
    body, reply = desk.read("root/a", **arguments)
    assert body == part
    assert reply["size"] == len(part)
    assert reply["sha256"] == hashlib.sha256(part).hexdigest()


def test_an_offset_below_zero_is_told(desk: Desk, root: Path) -> None:
    (root / "a").touch()
    with pytest.raises(Failure) as failed:
        desk.read("root/a", offset=-1)
    assert failed.value.code == "arguments"


@pytest.mark.parametrize("change", ["appended", "cut", "replaced"])
def test_a_file_that_changes_while_it_is_read_is_reported(desk: Desk, root: Path, change: str) -> None:
    path = root / "a"
    path.write_bytes(bytes(600_000))

    def interfere(_: bytes) -> None:
        if change == "appended":
            with path.open("ab") as file:
                file.write(b"more")
        elif change == "cut":
            os.truncate(path, 10)
        else:
            (root / "b").write_bytes(b"b")
            (root / "b").replace(path)

    call = FakeCall("root/a", on_chunk=interfere)
    reply = desk.run(desk.hand.read(call))
    assert reply["changed"] is True
    assert reply["size"] == len(call.body) <= 600_000


def test_what_is_not_there_is_not_found(desk: Desk, root: Path) -> None:
    (root / "file").touch()
    for resource in ("root/none", "root/file/below", "root/none/below"):
        with pytest.raises(Failure) as failed:
            desk.read(resource)
        assert failed.value.code == "not found"


def test_stat_tells_the_link_itself(desk: Desk, root: Path) -> None:
    (root / "file").write_bytes(b"12345")
    (root / "file").chmod(0o640)
    os.utime(root / "file", ns=(0, 1_000_000_000_123_456_000))
    (root / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "fifo")
    told = {name: desk.run(desk.hand.stat(FakeCall(f"root/{name}"))) for name in ("file", "link", "fifo")}
    assert told["file"] == {"kind": "file", "size": 5, "modified": "2001-09-09T01:46:40.123456Z", "mode": "0640"}
    assert told["link"]["kind"] == "link"
    assert told["fifo"]["kind"] == "fifo"
    assert desk.run(desk.hand.stat(FakeCall("root")))["kind"] == "folder"


def test_a_listing_is_sorted_filtered_and_comes_in_parts(desk: Desk, root: Path) -> None:
    for number in range(25):
        (root / f"{number:02}.csv").touch()
    (root / "other.txt").touch()
    assert listed(desk, "root", pattern="*.csv", most=10) == ([f"{n:02}.csv" for n in range(10)], True)
    assert listed(desk, "root", pattern="*.csv", most=10, after="19.csv") == (
        [f"{n}.csv" for n in range(20, 25)],
        False,
    )
    assert listed(desk, "root", pattern="*.csv", most=25)[1] is False
    assert listed(desk, "root")[0][-1] == "other.txt"


def test_names_too_long_for_one_reply_come_in_parts_that_fit(desk: Desk, root: Path) -> None:
    for number in range(2900):
        (root / f"{number:04}{'x' * 240}").touch()
    names: list[str] = []
    more = True
    while more:
        reply = desk.run(desk.hand.list(FakeCall("root"), most=10_000, after=names[-1] if names else ""))
        assert len(msgspec.msgpack.encode(reply)) < 600_000
        names += [entry["name"] for entry in reply["entries"]]
        more = reply["more"]
    assert names == sorted(os.listdir(root))


def test_only_a_folder_is_listed(desk: Desk, root: Path) -> None:
    (root / "file").touch()
    (root / "link").symlink_to(".")
    for name, code in (("file", "not a folder"), ("link", "symbolic link"), ("none", "not found")):
        with pytest.raises(Failure) as failed:
            listed(desk, f"root/{name}")
        assert failed.value.code == code
    with pytest.raises(Failure):
        listed(desk, "root", most=0)


def test_odd_names_are_shown_escaped_and_marked(desk: Desk, root: Path) -> None:
    odd = {
        b"caf\xe9": "caf\\xe9",
        b"two\nlines": "two\\u000alines",
        "right\u202eleft".encode(): "right\\u202eleft",
        b"back\\slash": "back\\\\slash",
        "e\u0301".encode(): "e\\u0301",
    }
    fine = {"café".encode(): "café", b"with space": "with space", "日本".encode(): "日本"}
    for name in (*odd, *fine):
        os.close(os.open(os.path.join(os.fsencode(root), name), os.O_CREAT, 0o600))
    entries = desk.run(desk.hand.list(FakeCall("root")))["entries"]
    assert {entry["name"] for entry in entries if entry.get("escaped")} == set(odd.values())
    assert {entry["name"] for entry in entries if not entry.get("escaped")} == set(fine.values())


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_any_name_is_shown_readably_and_marked_when_escaped(name: bytes) -> None:
    real = os.fsdecode(name)
    text, escaped = folder_view.shown_name(real)
    assert escaped == (text != real)
    assert not any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in text)
    assert text.encode()
    assert unicodedata.is_normalized("NFC", text) or re.search(r"\\[xuU]", text)


@given(st.text(min_size=1, max_size=12), st.text(min_size=1, max_size=12))
def test_two_names_never_look_alike(one: str, other: str) -> None:
    assert (folder_view.shown_name(one)[0] == folder_view.shown_name(other)[0]) == (one == other)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_time_of_a_file_can_be_told(nanoseconds: int) -> None:
    text = folder_view.timestamp(nanoseconds)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    told = datetime.fromisoformat(text.removesuffix("Z") + "+00:00")
    assert told == datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    assert abs(told.timestamp() - nanoseconds / 1e9) < 1e-3


def test_far_away_times_are_shown_as_the_nearest() -> None:
    assert folder_view.timestamp(10**30).startswith("9999-12-31")
    assert folder_view.timestamp(-(10**30)).startswith("0001-01-01")


def test_a_slow_caller_does_not_keep_others_waiting(desk: Desk, root: Path) -> None:
    """A reader that takes no chunk holds nothing that another call needs."""
    import asyncio

    (root / "a").write_bytes(b"x" * 100)

    async def both() -> object:
        never = asyncio.Event()

        class Stuck(FakeCall):
            async def send(self, chunk: bytes) -> None:
                await never.wait()

        stuck = [asyncio.create_task(desk.hand.read(Stuck("root/a"))) for _ in range(20)]
        done = await desk.hand.stat(FakeCall("root/a"))
        before = len(os.listdir("/proc/self/fd"))
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        assert len(os.listdir("/proc/self/fd")) < before
        return done

    assert desk.run(both())["size"] == 100  # type: ignore[index]
