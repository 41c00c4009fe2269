"""The newest entry of a kind is found from the end of the log, whatever is being written behind it."""

import tracemalloc
from pathlib import Path

import pytest
from msgspec.structs import replace

from kernel.cli import logbook, up
from kernel.cli.exits import Ended
from kernel.cli.history import gather
from kernel.record.recovery import segment_path
from wire.entries import NO_PREV, Entry, encode, time_text


def line(seq: int, kind: str, said: str = "", **detail: object) -> bytes:
    entry = Entry(seq=seq, kind=kind, time=time_text(1), principal="kernel", prev=NO_PREV, why=said, detail=detail)
    return encode(entry) + b"\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An empty log; its folder."""
    (tmp_path / "entries").mkdir()
    return tmp_path


def write(log: Path, number: int, *lines: bytes) -> None:
    segment_path(log, number).write_bytes(b"".join(lines))


def test_the_newest_entry_of_a_kind_is_found_in_an_older_segment(log: Path) -> None:
    write(log, 0, line(0, "kernel.start", code="old"), line(1, "kernel.start", code="new"), line(2, "kernel.stop"))
    write(log, 1, line(3, "kernel.stop"))
    write(log, 2)
    found = logbook.newest(log, "kernel.start")
    assert found is not None
    assert (found.seq, found.detail) == (1, {"code": "new"})
    assert logbook.newest(log, "freeze") is None


def test_a_line_that_is_being_written_is_no_entry_yet(log: Path) -> None:
    write(log, 0, line(0, "kernel.start"), line(1, "kernel.start")[:-9])
    found = logbook.newest(log, "kernel.start")
    assert found is not None
    assert found.seq == 0


def test_a_kind_within_an_entry_is_not_taken_for_its_kind(log: Path) -> None:
    write(log, 0, line(0, "kernel.start"), line(1, "kernel.stop", why={"kind": "kernel.start"}))
    found = logbook.newest(log, "kernel.start")
    assert found is not None
    assert found.seq == 0


def test_a_log_of_a_home_with_hands_is_gone_if_it_is_empty_and_not_one_of_a_home_where_nothing_happened(
    tmp_path: Path,
) -> None:
    (tmp_path / "home.toml").touch()
    folder = tmp_path / "log"
    (tmp_path / "hands").mkdir()
    with pytest.raises(Ended, match="has no log yet"):
        logbook.folder_of(str(tmp_path))
    (folder / "entries").mkdir(parents=True)
    assert list(logbook.entries(logbook.folder_of(str(tmp_path)))) == []
    (tmp_path / "hands" / "echo-1.0.0").mkdir()
    with pytest.raises(Ended, match=f"the log of this home is gone from {folder}: .*backup"):
        list(logbook.entries(logbook.folder_of(str(tmp_path))))
    (folder / "entries").rmdir()
    with pytest.raises(Ended, match=f"the log of this home is gone from {folder}: .*backup"):
        logbook.folder_of(str(tmp_path))


def test_the_runs_that_a_start_found_and_could_not_resume_are_counted(log: Path) -> None:
    lost = "run ended: it cannot resume: the tape cannot be read"
    write(
        log, 0, line(0, "kernel.start"), line(1, "run.end", lost), line(2, "kernel.start"), line(3, "run.end", lost),
        line(4, "run.end", "killed by SIGKILL"), line(5, "note", lost), line(6, "run.end", lost),
    )  # fmt: skip
    assert up.count_lost(log) == 2


def test_a_run_that_could_not_be_resumed_is_told_with_the_reason_of_that() -> None:
    begun = Entry(seq=1, kind="run.start", time=time_text(1), principal="kernel", prev=NO_PREV, run="r-1", call=4)
    why = "run ended: it cannot resume: the tape cannot be read"
    ends = (
        replace(begun, seq=2, kind="end", verdict="failed", why="the kernel ended before it"),
        replace(begun, seq=3, kind="run.end", call=0, verdict="died", why=why),
    )
    run = gather((begun, *ends))["r-1"]
    assert (run.outcome, run.why) == ("failed", why)


def test_a_large_segment_is_not_read_into_memory(log: Path) -> None:
    many = line(1, "kernel.stop", why="x" * 900) * 20_000
    write(log, 0, line(0, "kernel.start"), many)
    tracemalloc.start()
    try:
        assert logbook.newest(log, "kernel.start") is not None
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
