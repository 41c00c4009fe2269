"""A start from disk: torn tails are cut off, anything else that was changed is refused, snapshots spare reading."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kernel.errors import LogDamaged
from kernel.record import log as audit
from kernel.record.recovery import recover, segment_path, segments
from tests.kernel.logs import KEY, ORIGIN, Opened, entries, start, tree, verified, written
from wire.checkpoint import Checkpoint, sign_checkpoint
from wire.entries import Chain, Entry
from wire.signing import SigningKey
from wire.snapshot import Snapshot

COVERED = 6


def _line(chain: Chain, text: str) -> bytes:
    time = "2026-11-21T00:45:10.123456Z"
    return chain.append(kind="note", principal="kernel", time=time, why=text) + b"\n"


def _with_tail(home: Path, tail: int) -> tuple[Path, list[bytes]]:
    """A log of COVERED entries under a checkpoint and a tail that none covers, as a crash leaves it; and its lines."""
    folder = written(home, COVERED)
    chain = start(folder).chain
    path = segment_path(folder, 0)
    path.write_bytes(path.read_bytes() + b"".join(_line(chain, f"tail {number}") for number in range(tail)))
    return folder, path.read_bytes().splitlines(keepends=True)


def test_a_new_home_has_an_empty_log(tmp_path: Path) -> None:
    found = start(tmp_path / "log")
    assert (found.chain.seq, found.state, found.entries, found.cut) == (0, None, [], 0)


def test_a_log_closed_in_order_goes_on_where_it_ended(tmp_path: Path) -> None:
    written(tmp_path, 3)
    folder = written(tmp_path, 4)
    assert [entry.seq for entry in start(folder).entries] == list(range(7))
    assert verified(folder).size == 7


def test_entries_that_no_checkpoint_covers_yet_are_kept(tmp_path: Path) -> None:
    folder, lines = _with_tail(tmp_path, 5)
    found = start(folder)
    assert (found.chain.seq, found.cut) == (len(lines), 0)


def _cut_short(content: bytes, at: int) -> bytes:
    return content[:at]


def _zeros_from(content: bytes, at: int) -> bytes:
    return content[:at] + b"\0" * (len(content) - at + 5000)


def _zeros_in_between(content: bytes, at: int) -> bytes:
    """A block that never came, though a later one did."""
    return content[:at] + b"\0" * 40 + content[at + 40 :]


@pytest.mark.parametrize(
    ("tear", "step"),
    [
        (_cut_short, 1),
        (_zeros_from, 4),
        (_zeros_in_between, 4),
        pytest.param(_zeros_from, 1, marks=pytest.mark.wide),
        pytest.param(_zeros_in_between, 1, marks=pytest.mark.wide),
    ],
)
def test_a_tail_torn_at_any_byte_is_cut_off_and_told(
    tmp_path: Path, tear: Callable[[bytes, int], bytes], step: int
) -> None:
    folder, lines = _with_tail(tmp_path, 2)
    path, content = segment_path(folder, 0), b"".join(lines)
    ends = list(itertools.accumulate(map(len, lines)))
    for at in range(ends[-3], ends[-1] + (tear is not _zeros_in_between), step):
        torn = tear(content, at)
        path.write_bytes(torn)
        whole = max(end for end in ends if end <= at)
        found = start(folder)
        assert (found.chain.seq, found.cut) == (ends.index(whole) + 1, len(torn) - whole)
        assert path.read_bytes() == content[:whole]
        assert (start(folder).chain.seq, start(folder).cut) == (found.chain.seq, 0)


def test_after_a_cut_the_log_goes_on_and_verifies(tmp_path: Path) -> None:
    folder, lines = _with_tail(tmp_path, 2)
    segment_path(folder, 0).write_bytes(b"".join(lines)[:-7])
    opened = Opened(tmp_path)
    assert opened.recovered.cut == len(lines[-1]) - 7
    assert opened.log.append("kernel.recovered", principal="kernel", detail={"cut": opened.recovered.cut}) == 7
    opened.close()
    assert [entry.kind for entry in entries(folder)] == ["note"] * 7 + ["kernel.recovered"]
    assert verified(folder).signed == 8


@pytest.mark.parametrize("tear", [_cut_short, _zeros_from, _zeros_in_between])
def test_what_a_checkpoint_covers_is_never_cut_off(tmp_path: Path, tear: Callable[[bytes, int], bytes]) -> None:
    folder = written(tmp_path, COVERED)
    content = segment_path(folder, 0).read_bytes()
    for at in range(content.rindex(b"\n", 0, -1) - 30, len(content)):
        segment_path(folder, 0).write_bytes(tear(content, at))
        _is_refused(folder)


def _is_refused(folder: Path, *words: str) -> None:
    before = tree(folder)
    with pytest.raises(LogDamaged) as caught:
        start(folder)
    for word in (str(folder), "`maniple audit verify`", *words):
        assert word in str(caught.value)
    assert tree(folder) == before, "a refusal changes nothing"


def _edited(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[:at], lines[at].replace(b'"principal":"kernel"', b'"principal":"kernal"'), *lines[at + 1 :]]


def _dropped(lines: list[bytes], at: int) -> list[bytes]:
    return lines[:at] + lines[at + 1 :]


def _swapped(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]] if at + 1 < len(lines) else lines[::-1]


def _duplicated(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[: at + 1], *lines[at:]]


def _truncated(lines: list[bytes], at: int) -> list[bytes]:
    return lines[:at]


def _forked(lines: list[bytes], at: int) -> list[bytes]:
    """From one entry on a different story, in which every entry names the one before."""
    chain = Chain()
    for number in range(at):
        chain.append(kind="note", principal="kernel", time=_time(lines[number]), why=f"entry {number}")
    return lines[:at] + [_line(chain, "another story") for _ in lines[at:]]


def _time(line: bytes) -> str:
    return line.split(b'"time":"')[1].split(b'"')[0].decode()


CHANGES = [_edited, _dropped, _swapped, _duplicated, _truncated, _forked]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("at", range(COVERED))
def test_a_changed_log_is_refused(tmp_path: Path, change: Callable[[list[bytes], int], list[bytes]], at: int) -> None:
    folder = written(tmp_path, COVERED)
    path = segment_path(folder, 0)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines, at)))
    _is_refused(folder, "entry ")


@pytest.mark.parametrize("change", [_edited, _dropped, _swapped, _duplicated])
def test_a_change_behind_the_newest_checkpoint_is_not_taken_for_a_tear(
    tmp_path: Path, change: Callable[[list[bytes], int], list[bytes]]
) -> None:
    folder, lines = _with_tail(tmp_path, 4)
    segment_path(folder, 0).write_bytes(b"".join(change(lines, COVERED + 1)))
    _is_refused(folder, "entry ")


def _no_checkpoint(folder: Path) -> None:
    (folder / "checkpoint").unlink()
    (folder / "checkpoints").unlink()


def _broken_checkpoint(folder: Path) -> None:
    path = folder / "checkpoint"
    path.write_bytes(path.read_bytes().replace(b"\n6\n", b"\n5\n"))


def _anothers_checkpoint(folder: Path) -> None:
    other = SigningKey(ORIGIN, b"\x07" * 32)
    head = Checkpoint(origin=ORIGIN, size=COVERED, root=start(folder).chain.frontier.root())
    (folder / "checkpoint").write_text(sign_checkpoint(head, other))


def _another_log_s_checkpoint(folder: Path) -> None:
    head = Checkpoint(origin="other.example/log", size=COVERED, root=start(folder).chain.frontier.root())
    (folder / "checkpoint").write_text(sign_checkpoint(head, KEY))


def _no_entries(folder: Path) -> None:
    shutil.rmtree(folder / "entries")


def _older_checkpoint_of_another_story(folder: Path) -> None:
    head = Checkpoint(origin=ORIGIN, size=3, root=b"\x05" * 32)
    with (folder / "checkpoints").open("a") as file:
        file.write("\n" + sign_checkpoint(head, KEY))


def _a_line_in_place_of_another_file(folder: Path) -> None:
    segment_path(folder, 0).rename(segment_path(folder, 1))


@pytest.mark.parametrize(
    "damage",
    [
        _no_checkpoint,
        _broken_checkpoint,
        _anothers_checkpoint,
        _another_log_s_checkpoint,
        _no_entries,
        _older_checkpoint_of_another_story,
        _a_line_in_place_of_another_file,
    ],
)
def test_a_log_whose_evidence_does_not_fit_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = written(tmp_path, COVERED)
    damage(folder)
    _is_refused(folder)


def test_a_missing_file_between_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SEGMENT", 500)  # three real files would be 192 MiB of entries
    for _ in range(4):
        written(tmp_path, 4)
    folder = tmp_path / "log"
    assert len(segments(folder)) >= 4
    for number in range(len(segments(folder)) - 1):
        path = segment_path(folder, number)
        content = path.read_bytes()
        path.unlink()
        _is_refused(folder, "missing")
        path.write_bytes(content)
        path.write_bytes(content[:-1])
        _is_refused(folder, "entry")
        path.write_bytes(content)
    assert start(folder).chain.seq == 16


def test_a_tear_with_entries_in_a_later_file_is_no_torn_tail(tmp_path: Path) -> None:
    folder, lines = _with_tail(tmp_path, 3)
    segment_path(folder, 0).write_bytes(b"".join(lines[:-1])[:-1])
    segment_path(folder, 1).write_bytes(lines[-1])
    _is_refused(folder, "000000.jsonl is torn")


def _snapshotted(home: Path) -> Path:
    """Ten entries, a snapshot, five entries."""
    opened = Opened(home)
    for number in range(10):
        opened.note(f"entry {number}")
    opened.log.snapshot(b"the state after ten")
    for number in range(5):
        opened.note(f"tail {number}")
    opened.close()
    return home / "log"


def test_a_start_from_a_snapshot_ends_where_a_start_from_the_first_entry_does(tmp_path: Path) -> None:
    folder = _snapshotted(tmp_path)
    short = start(folder)
    assert short.state == b"the state after ten"
    assert [entry.seq for entry in short.entries] == list(range(10, 16))
    (folder / "snapshot").unlink()
    long = start(folder)
    assert long.state is None
    assert [entry.seq for entry in long.entries] == list(range(16))
    assert (short.chain.seq, short.chain.prev) == (long.chain.seq, long.chain.prev)
    assert short.chain.frontier.root() == long.chain.frontier.root()


def test_a_start_from_a_snapshot_does_not_read_what_lies_before_it(tmp_path: Path) -> None:
    folder = _snapshotted(tmp_path)
    path = segment_path(folder, 0)
    path.write_bytes(path.read_bytes().replace(b"entry 3", b"entry 4"))
    assert start(folder).state == b"the state after ten"
    (folder / "snapshot").unlink()
    _is_refused(folder, "entry 3")


def test_a_change_after_the_snapshot_is_refused(tmp_path: Path) -> None:
    folder = _snapshotted(tmp_path)
    path = segment_path(folder, 0)
    path.write_bytes(path.read_bytes().replace(b"tail 2", b"tail 3"))
    _is_refused(folder, "entry 13")


def test_what_an_entry_brings_about_is_told_only_of_a_log_that_holds(tmp_path: Path) -> None:
    """Entries are handed on before their checkpoint is compared: a forged one may make whoever takes it fail."""
    folder, begin = written(tmp_path, 6), Snapshot(origin=ORIGIN, size=0)
    path, taken = segment_path(folder, 0), list[int]()
    whole, torn = path.read_bytes(), b'{"torn'
    path.write_bytes(whole + torn)

    def take(entry: Entry) -> None:
        taken.append(entry.seq)
        if entry.seq == 3:
            raise KeyError("the fourth")

    with pytest.raises(KeyError, match="the fourth"):
        recover(folder, begin, take, key=KEY.verify_key)
    assert taken == [0, 1, 2, 3]
    assert path.read_bytes() == whole + torn
    *before, last = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(before) + last.replace(b"entry 5", b"entry 6"))
    with pytest.raises(LogDamaged, match="it is not the entry that the checkpoint of 6 entries signed|was changed"):
        recover(folder, begin, take, key=KEY.verify_key)


def test_any_changed_byte_of_a_snapshot_makes_it_count_for_nothing(tmp_path: Path) -> None:
    folder = _snapshotted(tmp_path)
    content = (folder / "snapshot").read_bytes()
    for at in range(len(content)):
        (folder / "snapshot").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        found = start(folder)
        assert (found.state, found.chain.seq) == (None, 16)


def test_a_snapshot_of_which_the_log_does_not_speak_counts_for_nothing(tmp_path: Path) -> None:
    """Signed by the same key, but of another course of events."""
    other, folder = _snapshotted(tmp_path / "other"), written(tmp_path / "one", 30)
    shutil.copy(other / "snapshot", folder / "snapshot")
    assert start(folder).state is None


def test_the_newest_snapshot_is_the_one_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SEGMENT", 1000)  # three real files would be 192 MiB of entries
    for number in range(5):
        opened = Opened(tmp_path)
        for _ in range(7):
            opened.note()
        opened.log.snapshot(b"older")
        opened.log.snapshot(b"state %d" % number)
        opened.note()
        opened.close()
        found = start(opened.folder)
        assert found.state == b"state %d" % number
        assert [entry.kind for entry in found.entries] == ["snapshot", "note"]
    assert len(segments(tmp_path / "log")) > 3
    assert verified(tmp_path / "log").size == 50
