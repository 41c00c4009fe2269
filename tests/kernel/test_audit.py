"""The log's writer: order, groups, checkpoints, keys; and a disk that fails, played by /dev/full and /dev/null."""

import contextlib
import json
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.errors import Failure
from kernel.record import log as audit
from kernel.record.log import LogState
from kernel.record.recovery import read_notes, segments
from tests.kernel.logs import ORIGIN, Opened, entries, signed, start, tree, verified, written
from wire.entries import Said, body_digest
from wire.errors import Unencodable


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """A new log."""
    one = Opened(tmp_path)
    yield one
    if one.log.state is not LogState.SPENT:
        one.close()


@contextlib.contextmanager
def entries_go_to(device: str, folder: Path) -> Iterator[None]:
    """While it lasts, what the log writes to its entries goes to a device: the same descriptor, another file."""
    path = str(segments(folder)[-1])
    file = next(int(fd) for fd in os.listdir("/proc/self/fd") if _target(fd) == path)
    real, other = os.dup(file), os.open(device, os.O_RDWR)
    os.dup2(other, file)
    try:
        yield
    finally:
        os.dup2(real, file)
        os.close(real)
        os.close(other)


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""


def test_acts_run_once_their_entry_is_on_disk_and_in_order(opened: Opened) -> None:
    done: list[tuple[int, int]] = []
    for _ in range(50):
        seq = opened.note()
        opened.log.after(seq, lambda seq=seq: done.append((seq, opened.log.durable)))  # type: ignore[misc]
    opened.until(lambda: len(done) == 50)
    assert [seq for seq, _ in done] == list(range(50))
    assert all(seq < durable for seq, durable in done)
    assert [entry.seq for entry in entries(opened.folder)] == list(range(50))


def test_an_act_for_what_is_on_disk_already_runs_at_once(opened: Opened) -> None:
    opened.note()
    opened.synced()
    done: list[int] = []
    opened.log.after(0, lambda: done.append(0))
    assert done == [0]


def test_a_hundred_waiting_calls_share_a_few_syncs(opened: Opened) -> None:
    seen: list[int] = []
    for _ in range(100):
        opened.log.after(opened.note(), lambda: seen.append(opened.log.durable))
    opened.until(lambda: len(seen) == 100)
    assert len(set(seen)) <= 10


def test_entries_nobody_waits_for_come_to_disk_by_themselves(opened: Opened) -> None:
    opened.note("quiet")
    opened.until(lambda: opened.log.durable == 1)
    assert entries(opened.folder)[0].why == "quiet"


def test_a_refused_entry_leaves_the_log_as_it_was(opened: Opened) -> None:
    opened.note("before")
    with pytest.raises(Unencodable):
        opened.log.append("no such kind", principal="kernel")
    assert opened.note("after") == 1
    opened.close()
    assert verified(opened.folder).size == 2


def test_what_was_put_off_keeps_its_place_its_time_and_its_digest(opened: Opened) -> None:
    said = [Said(principal="r-1", method=f"web.fetch{number}") for number in range(2)]
    assert opened.log.defer("call", "arguments", (b"key", b"body"), said[0].copy) == 0
    assert opened.log.defer("end", "reply", (b"key", b"x" * audit.LARGE), said[1].copy) == 1
    assert (opened.log.size, opened.note("after")) == (2, 2)
    opened.synced()
    first, second, last = entries(opened.folder)
    assert (first.kind, first.method, first.arguments) == ("call", "web.fetch0", body_digest(b"key", b"body"))
    assert (second.kind, second.reply) == ("end", body_digest(b"key", b"x" * audit.LARGE))
    assert first.time < second.time < last.time


def test_whoever_waits_for_what_was_put_off_waits_until_it_is_on_disk(opened: Opened) -> None:
    done: list[int] = []
    seq = opened.log.defer("call", "arguments", (b"key", b"body"), lambda: Said(principal="r-1"))
    opened.log.after(seq, lambda: done.append(opened.log.durable))
    opened.until(lambda: done)
    assert done == [1]


def test_of_what_was_put_off_and_is_no_entry_a_note_tells_in_its_place(opened: Opened) -> None:
    def cannot() -> Said:
        raise KeyError("nobody")

    opened.log.defer("no such kind", "reply", (b"key", b"body"), lambda: Said(principal="r-1"))
    opened.log.defer("end", "reply", (b"key", b"body"), cannot)
    opened.note("after")
    opened.synced()
    first, second, last = entries(opened.folder)
    assert [(one.kind, one.seq) for one in (first, second, last)] == [("note", 0), ("note", 1), ("note", 2)]
    assert "no such kind" in first.why
    assert "nobody" in second.why
    assert last.why == "after"


def test_what_is_said_of_an_entry_is_what_is_read(opened: Opened) -> None:
    opened.log.append("call", principal="r-1", run="r-1", method="web.fetch", resource="https://a.example/", call=7)
    opened.synced()
    (entry,) = entries(opened.folder)
    assert (entry.kind, entry.method, entry.call, entry.time) == ("call", "web.fetch", 7, "2023-11-14T22:13:20.000000Z")


def test_a_checkpoint_follows_by_itself_and_covers_only_what_is_on_disk(opened: Opened) -> None:
    for _ in range(3):
        opened.note()
        opened.synced()
        opened.until(opened.covered)
        assert verified(opened.folder).signed == opened.log.durable


def test_a_new_log_is_signed_before_its_first_entry_is_on_disk(opened: Opened) -> None:
    assert signed(opened.folder) == -1
    opened.note()
    opened.synced()
    assert signed(opened.folder) >= 0


def test_closing_covers_everything_and_keeps_a_checkpoint_for_later(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        assert signed(written(tmp_path, 10)) == 10 * number
    sizes = [note.split("\n")[1] for note in read_notes(tmp_path / "log", ORIGIN)]
    assert sizes == ["30", "10", "20", "30"]
    assert verified(tmp_path / "log").checkpoints == 4


@pytest.mark.wide
def test_a_torn_kept_checkpoint_does_not_hide_the_next(tmp_path: Path) -> None:
    kept = written(tmp_path, 3) / "checkpoints"
    whole = kept.read_bytes()
    for end in range(len(whole)):
        kept.write_bytes(whole[:end])
        size = start(written(tmp_path, 1)).chain.seq
        assert read_notes(tmp_path / "log", ORIGIN)[-1].split("\n")[1] == str(size)


def test_a_run_s_key_is_on_disk_before_entries_that_come_after_it(opened: Opened, tmp_path: Path) -> None:
    opened.log.keep_key("r-1", b"\x01" * 32)
    opened.note()
    opened.log.keep_key("r-2", b"\x02" * 32)
    opened.note()
    opened.synced()
    lines = (tmp_path / "journal" / "keys" / "000000.jsonl").read_text().split()
    assert [json.loads(line) for line in lines] == [
        {"run": "r-1", "key": "01" * 32},
        {"run": "r-2", "key": "02" * 32},
    ]


def test_the_entries_go_on_in_the_next_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SEGMENT", 2000)  # three real files would be 192 MiB of entries
    opened = Opened(tmp_path)
    while len(segments(opened.folder)) < 4:
        for _ in range(12):
            opened.note("x" * 100)
        opened.synced()
        opened.until(opened.covered)
    first = segments(opened.folder)[0].stat()
    opened.close()
    assert first.st_blocks * 512 < first.st_size + 65536, "a finished file gives its reserve back"
    size = verified(opened.folder).size
    again = Opened(tmp_path)
    assert again.note() == size
    again.close()
    assert verified(opened.folder).size == size + 1


def test_the_reserve_is_behind_the_end_and_not_in_the_file(opened: Opened) -> None:
    opened.note()
    opened.synced()
    (path,) = segments(opened.folder)
    opened.until(lambda: path.stat().st_blocks * 512 >= audit.RESERVE)
    assert path.read_bytes().count(b"\n") == 1
    assert path.stat().st_size < 1000


def test_a_bound_on_the_size_of_files_is_told_as_that_and_not_as_a_full_disk(opened: Opened) -> None:
    opened.note()
    opened.synced()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        opened.until(lambda: opened.note("x" * 1_000) and opened.log.why)
        assert "File too large; start the kernel under a higher `ulimit -f`" in opened.log.why
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("device", ["/dev/full", "/dev/null"])
def test_a_disk_that_fails_stops_effects_and_loses_nothing(opened: Opened, device: str) -> None:
    """/dev/full fails every write; /dev/null takes every write and forgets it, and its sync fails."""
    opened.note("before")
    opened.synced()
    done: list[str] = []
    with entries_go_to(device, opened.folder):
        opened.log.after(opened.note("during"), lambda: done.append("during"))
        opened.until(lambda: "cannot be written" in opened.log.why)
        assert opened.log.state is LogState.SPENT
        opened.note("still during")
        assert (opened.log.durable, done) == (1, [])
    opened.until(lambda: done and opened.log.durable == 3)
    opened.until(lambda: opened.log.state is LogState.OK)
    assert opened.log.why == ""
    opened.close()
    assert [entry.why for entry in entries(opened.folder)] == ["before", "during", "still during"]
    assert verified(opened.folder).signed == 3


def test_what_waits_for_a_disk_is_bounded(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "BEHIND", (1_000, 2_000, 3_000, 4_000))  # the real bounds are many MiB
    opened.note()
    opened.synced()
    with entries_go_to("/dev/full", opened.folder):
        states = []
        with pytest.raises(Failure, match="takes no more entries"):
            while True:
                states.append(opened.log.state)
                opened.note("x" * 100)
    assert states == sorted(states)
    assert len(states) < 26
    assert states[-1] is LogState.OVER
    opened.until(lambda: opened.log.durable == opened.log.size and opened.log.state is LogState.OK)


def test_closing_on_a_disk_that_fails_returns_and_says_so(opened: Opened) -> None:
    opened.note()
    opened.synced()
    with entries_go_to("/dev/full", opened.folder):
        opened.note()
        opened.close()
    assert (opened.log.durable, opened.log.size) == (1, 2)
    assert start(opened.folder).chain.seq == 1


def test_a_closed_log_leaves_no_thread_and_no_descriptor(tmp_path: Path) -> None:
    written(tmp_path, 1)
    before = sorted(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(20):
        written(tmp_path, 1)
    assert (sorted(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_a_start_with_nothing_to_say_writes_no_entry(tmp_path: Path) -> None:
    folder = written(tmp_path, 5)
    before = tree(folder)
    Opened(tmp_path).close()
    assert {**tree(folder), "checkpoints": b""} == {**before, "checkpoints": b""}
