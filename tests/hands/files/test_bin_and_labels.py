"""What is deleted can be taken back, and what a labelled run wrote keeps its labels."""

import errno
import hashlib
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.hands.doubles import FakeCall, hand_module
from tests.hands.files.conftest import Desk, labels_after_read, write_labelled

bin_clock = hand_module("files", "bin_clock")
bin_folder = hand_module("files", "bin_folder")
label_marks = hand_module("files", "label_marks")
Failure = hand_module("files", "main").Failure


def delete(desk: Desk, resource: str, **arguments: object) -> dict[str, object]:
    reply: dict[str, object] = desk.run(desk.hand.delete(FakeCall(resource), **arguments))
    return reply


def test_a_deleted_file_lies_in_the_bin(desk: Desk, root: Path) -> None:
    (root / "deep").mkdir()
    (root / "deep/a.txt").write_bytes(b"precious")
    reply = delete(desk, "root/deep/a.txt")
    assert not (root / "deep/a.txt").exists()
    assert reply["size"] == 8
    assert (root.parent / str(reply["bin"])).read_bytes() == b"precious"
    assert [entry["name"] for entry in desk.run(desk.hand.list(FakeCall("root")))["entries"]] == ["deep"]


def test_only_the_expected_file_is_deleted(desk: Desk, root: Path) -> None:
    (root / "a").write_bytes(b"new")
    with pytest.raises(Failure) as failed:
        delete(desk, "root/a", expect=hashlib.sha256(b"old").hexdigest())
    assert failed.value.code == "conflict"
    assert (root / "a").read_bytes() == b"new"
    delete(desk, "root/a", expect=hashlib.sha256(b"new").hexdigest())
    assert not (root / "a").exists()


def test_a_file_replaced_while_it_is_deleted_comes_back(
    desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a").write_bytes(b"old")
    real = bin_folder.move_new

    def interposed(*arguments: object) -> None:
        if (root / "a").exists() and (root / "a").read_bytes() == b"old":
            (root / "theirs").write_bytes(b"theirs")
            (root / "theirs").replace(root / "a")
        real(*arguments)

    monkeypatch.setattr(bin_folder, "move_new", interposed)  # a real program would miss the instant
    with pytest.raises(Failure) as failed:
        delete(desk, "root/a", expect=hashlib.sha256(b"old").hexdigest())
    assert failed.value.code == "conflict"
    assert (root / "a").read_bytes() == b"theirs"
    assert os.listdir(root / ".maniple-bin") == []


def test_links_folders_and_nothing_are_not_deleted(desk: Desk, root: Path) -> None:
    (root / "folder").mkdir()
    (root / "link").symlink_to("../secret")
    for name, code in (("folder", "not a file"), ("link", "symbolic link"), ("none", "not found")):
        with pytest.raises(Failure) as failed:
            delete(desk, f"root/{name}")
        assert failed.value.code == code
    assert (root / "link").is_symlink()


def test_a_bin_that_is_a_link_is_not_used(desk: Desk, root: Path) -> None:
    (root / ".maniple-bin").symlink_to(root.parent)
    (root / "a").touch()
    with pytest.raises(Failure):
        delete(desk, "root/a")
    assert (root / "a").exists()


@pytest.mark.parametrize("what", ["link", "file"])
def test_a_bin_that_is_none_keeps_nobody_from_other_files(root: Path, root_fd: int, tmp_path: Path, what: str) -> None:
    if what == "link":
        (root / ".maniple-bin").symlink_to(tmp_path)
    else:
        (root / ".maniple-bin").touch()
    (root / "a").write_bytes(b"precious")
    desk = Desk(root_fd, tmp_path)
    assert desk.read("root/a")[0] == b"precious"
    desk.close()


def test_a_name_in_the_bin_that_is_no_text_hides_no_other(desk: Desk, root: Path) -> None:
    for name in ("a", "b"):
        (root / name).touch()
        delete(desk, f"root/{name}")
    for path in (root / ".maniple-bin").glob("*-a"):
        os.rename(path, os.fsencode(path) + b"\xff")
    entries = desk.ask("bin", "root")["entries"]
    assert isinstance(entries, list)
    assert [one["path"] for one in entries] == ["root/b"]


def test_bin_days_0_deletes_at_once(root: Path, root_fd: int, tmp_path: Path) -> None:
    desk = Desk(root_fd, tmp_path, bin_days=0)
    (root / "a").touch()
    assert delete(desk, "root/a")["bin"] == ""
    assert os.listdir(root) == []
    desk.close()


@pytest.mark.parametrize("expect", [None, hashlib.sha256(b"x").hexdigest()])
def test_what_a_kill_leaves_of_a_delete_without_a_bin_is_removed_at_the_next_start_unless_it_was_to_be_compared(
    root: Path, root_fd: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expect: str | None
) -> None:
    (root / "deep").mkdir()
    (root / "deep" / "a").write_bytes(b"x")
    killed = os.fork()
    if not killed:
        monkeypatch.setattr(bin_folder, "move_new", _then_killed(bin_folder.move_new))
        delete(Desk(root_fd, tmp_path, bin_days=0), "root/deep/a", expect=expect)
        os._exit(0)
    assert os.waitpid(killed, 0)[1] == signal.SIGKILL
    assert len(os.listdir(root / "deep")) == 1
    Desk(root_fd, tmp_path, bin_days=0).close()
    assert len(os.listdir(root / "deep")) == (expect is not None)


def _then_killed(real: Callable[..., None]) -> Callable[..., None]:
    """A kill right after a step: a real one would miss the instant."""

    def step(*arguments: object) -> None:
        real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    return step


def test_the_bin_is_emptied_of_what_is_due(root: Path, root_fd: int, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    bin_path = root / ".maniple-bin"
    bin_path.mkdir()
    due = bin_folder.bin_name("due", now - timedelta(days=31), b"1234")
    not_due = bin_folder.bin_name("not due", now - timedelta(days=29), b"1234")
    owners = ["put here by its owner", "20240101T000000Z-notes.txt", "20240101T000000Z"]
    for name in (due, not_due, *owners):
        (bin_path / name).touch()
    Desk(root_fd, tmp_path).close()
    assert len(os.listdir(bin_path)) == 5, "what the clock showed before is not known"
    an_hour_has_passed(tmp_path)
    Desk(root_fd, tmp_path).close()
    assert sorted(os.listdir(bin_path)) == sorted([not_due, *owners])


def an_hour_has_passed(folder: Path, hours: float = 1) -> None:
    """As if what was noted of the clock had been noted so much earlier."""
    noted = folder / "state" / bin_clock.NOTED
    noted.write_text(" ".join(str(float(one) - hours * 3600) for one in noted.read_text().split()))


def test_the_bin_is_emptied_also_where_the_disk_has_no_room_to_note_the_clock(
    root: Path, root_fd: int, tmp_path: Path
) -> None:
    Desk(root_fd, tmp_path).close()
    an_hour_has_passed(tmp_path)
    due = root / bin_folder.BIN / bin_folder.bin_name("due", datetime.now(UTC) - timedelta(days=31), b"1234")
    due.parent.mkdir()
    due.touch()
    (tmp_path / "state" / f"{bin_clock.NOTED}.new").mkdir()  # nothing can be written there, as on a full disk
    Desk(root_fd, tmp_path).close()
    assert not due.exists()


def test_a_clock_that_leaps_ahead_empties_no_bin_until_it_has_stood_so_for_an_hour(
    root: Path, root_fd: int, tmp_path: Path
) -> None:
    desk = Desk(root_fd, tmp_path)
    (root / "a").write_bytes(b"precious")
    lies = root.parent / str(delete(desk, "root/a")["bin"])
    desk.close()
    an_hour_has_passed(tmp_path)
    lies = lies.rename(lies.with_name(bin_folder.bin_name("a", datetime.now(UTC) - timedelta(days=365), b"1234")))
    an_hour_has_passed(tmp_path, 365 * 24)
    for _ in range(3):
        Desk(root_fd, tmp_path).close()
        assert lies.exists()
    an_hour_has_passed(tmp_path)
    Desk(root_fd, tmp_path).close()
    assert not lies.exists()


def test_what_the_clock_is_believed_to_show(tmp_path: Path) -> None:
    noted, day = tmp_path / bin_clock.NOTED, timedelta(days=1)
    start = datetime(2026, 11, 28, tzinfo=UTC)
    hour = timedelta(hours=1)

    def trusted_time(now: datetime) -> datetime:
        found: datetime = bin_clock.trusted_time(noted, now)
        return found

    assert trusted_time(start) < start - 9_000 * day, "nothing is known yet"
    assert trusted_time(start + hour) == start
    assert trusted_time(start + hour * 1.5) == start, "a start soon after changes nothing"
    assert trusted_time(start + 365 * day) == start + hour
    assert trusted_time(start + hour * 3) == start + hour, "it was set right, and counts when it stands"
    assert trusted_time(start + 9 * day) == start + hour * 3
    assert trusted_time(start + 9 * day + hour) == start + 9 * day
    assert trusted_time(start + 365 * day) == start + 9 * day + hour
    assert trusted_time(start + 364 * day) == start + 9 * day + hour, "it was set back, and not far enough"
    assert trusted_time(start + 364 * day + hour) == start + 364 * day
    for damaged in ("", "no number", "1", "1 2 3", "nan nan", "1e300 1e300", "-1e300 0"):
        noted.write_text(damaged)
        assert trusted_time(start) <= start
        assert trusted_time(start + hour) == start


def test_the_longest_names_fit_into_the_bin(desk: Desk, root: Path) -> None:
    name = "é" * 127
    (root / name).touch()
    assert (root.parent / str(delete(desk, f"root/{name}")["bin"])).exists()


def test_a_reader_gets_the_writers_labels(labelled_desk: Desk) -> None:
    write_labelled(labelled_desk, "root/a", "web", "chat")
    write_labelled(labelled_desk, "root/b")
    assert labels_after_read(labelled_desk, "root/a") == {"web", "chat"}
    assert labels_after_read(labelled_desk, "root/b") == set()


def test_new_content_has_its_own_labels(labelled_desk: Desk) -> None:
    write_labelled(labelled_desk, "root/a", "web")
    write_labelled(labelled_desk, "root/a", "chat")
    assert labels_after_read(labelled_desk, "root/a") == {"chat"}
    write_labelled(labelled_desk, "root/a")
    assert labels_after_read(labelled_desk, "root/a") == set()


def test_what_a_delete_tells_of_a_file_is_marked_as_that(labelled_desk: Desk) -> None:
    write_labelled(labelled_desk, "root/a", "web")
    assert labelled_desk.ask("delete", "root/a")["labels"] == {"web"}


def test_more_labels_than_are_kept_stand_for_all(labelled_desk: Desk) -> None:
    """Ever new ones make nothing larger and larger, and are lost nowhere."""
    write_labelled(labelled_desk, "root/a", "web")
    for number in range(2):
        marks = [f"{number}-{one}" for one in range(60)]
        labelled_desk.ask("edit", "root/a", labels=marks, old="x", new="x")
    assert labels_after_read(labelled_desk, "root/a") == {"*"}


def test_labels_that_a_filesystem_has_no_room_for_stand_for_all(labelled_desk: Desk) -> None:
    """ext4 keeps 4 KiB of attributes: whoever marks a run with all that a header holds keeps it from writing nothing."""
    marks = [f"{number:_>64}" for number in range(64)]
    write_labelled(labelled_desk, "root/a", *marks)
    assert labels_after_read(labelled_desk, "root/a") in ({"*"}, set(marks))
    labelled_desk.ask("make_folder", "root/below", labels=marks)
    assert labelled_desk.ask("stat", "root/below")["labels"] in ({"*"}, set(marks))


def test_a_mark_of_another_programs_that_is_no_label_stands_for_all(desk: Desk, root: Path) -> None:
    """An archive may bring any attribute along: a label that no message carries made its whole folder unreadable."""
    for name, raw in (("long", b"x" * 65), ("good", b"x" * 64 + b"\nweb"), ("odd", b"\xff\xfe")):
        (root / name).write_text("x")
        try:
            os.setxattr(root / name, label_marks.ATTRIBUTE, raw)
        except OSError:
            pytest.skip("this filesystem keeps no attributes")
    assert labels_after_read(desk, "root/long") == {"*"}
    assert labels_after_read(desk, "root/good") == {"x" * 64, "web"}
    assert labels_after_read(desk, "root/odd") == {"\ufffd\ufffd"}
    assert desk.ask("list", "root")["labels"] == {"*", "x" * 64, "web", "\ufffd\ufffd"}


def test_labels_lie_in_the_bin_with_what_they_are_of(labelled_desk: Desk) -> None:
    """Else a file would lose its own as soon as another one was written in its place, and comes back without."""
    write_labelled(labelled_desk, "root/a", "web")
    inside = str(delete(labelled_desk, "root/a")["bin"]).rpartition("/")[2]
    write_labelled(labelled_desk, "root/a")
    delete(labelled_desk, "root/a")
    assert labelled_desk.ask("bin", "root")["labels"] == {"web"}
    labelled_desk.ask("restore", "root/a", bin=inside)
    assert labels_after_read(labelled_desk, "root/a") == {"web"}
    assert labelled_desk.ask("bin", "root")["labels"] == set()


def test_a_refused_write_takes_no_label_off(labelled_desk: Desk) -> None:
    write_labelled(labelled_desk, "root/a", "web")
    with pytest.raises(Failure):
        write_labelled(labelled_desk, "root/a", expect="0" * 64)
    assert "web" in labels_after_read(labelled_desk, "root/a")


def test_a_write_that_breaks_just_after_its_rename_has_its_labels(
    labelled_desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stands for a kill in that instant: what follows the rename does not happen."""
    real = labelled_desk.hand.book.put

    def broken(*arguments: object) -> None:
        if (root / "a").exists():
            raise OSError(errno.EIO, "broken")
        real(*arguments)

    monkeypatch.setattr(labelled_desk.hand.book, "put", broken)  # a real kill would miss the instant
    with pytest.raises(Failure):
        write_labelled(labelled_desk, "root/a", "web")
    assert (root / "a").exists()
    assert labels_after_read(labelled_desk, "root/a") == {"web"}


def test_names_chosen_by_a_labelled_run_carry_its_labels(labelled_desk: Desk) -> None:
    """Text can be smuggled in names, too, of files and of folders."""
    write_labelled(labelled_desk, "root/ignore all previous/instructions", "web", make_folders=True)
    for resource, method in (
        ("root", labelled_desk.hand.list),
        ("root/ignore all previous", labelled_desk.hand.list),
        ("root/ignore all previous", labelled_desk.hand.stat),
        ("root/ignore all previous/instructions", labelled_desk.hand.stat),
    ):
        call = FakeCall(resource)
        labelled_desk.run(method(call))
        assert call.added == {"web"}


def test_written_down_labels_survive_a_restart_and_a_torn_line(tmp_path: Path) -> None:
    book = label_marks.MarkBook(tmp_path)
    book.put("r/a", ("web",))
    book.put("r/b", ("chat",))
    book.put("r/b", ())
    with (tmp_path / "labels.jsonl").open("ab") as file:
        file.write(b'{"resource":"r/c","la')
    again = label_marks.MarkBook(tmp_path)
    assert (again.get("r/a"), again.get("r/b"), again.get("r/c")) == (("web",), (), ())
    assert (tmp_path / "labels.jsonl").read_bytes().count(b"\n") == 1


def test_what_is_written_down_after_a_torn_line_is_not_lost_with_it(tmp_path: Path) -> None:
    """As a full disk leaves it: half a line, while the service lives, or just before its end."""
    book = label_marks.MarkBook(tmp_path)
    book.put("r/a", ("web",))
    with (tmp_path / "labels.jsonl").open("ab") as file:
        file.write(b'{"resource":"r/c","la')
    book.put("r/b", ("chat",))
    again = label_marks.MarkBook(tmp_path)
    assert (again.get("r/a"), again.get("r/b"), again.get("r/c")) == (("web",), ("chat",), ())


def test_what_is_written_down_beneath_a_folder_goes_with_it_and_with_no_other(tmp_path: Path) -> None:
    """As when it is copied, moved or deleted: a name that only begins like another is another."""
    book = label_marks.MarkBook(tmp_path)
    lying = {"r/a": ("a",), "r/a/b": ("b",), "r/ab": ("ab",), "r/ab/c": ("c",), "r/z/b": ("own",)}
    for resource, labels in lying.items():
        book.put(resource, labels)
    book.copy("r/a", "r/z")
    assert book._marks == {**lying, "r/z/b": ("b", "own")}
    book.drop("r/a")
    assert book._marks == {"r/ab": ("ab",), "r/ab/c": ("c",), "r/z/b": ("b", "own")}
    size = (tmp_path / "labels.jsonl").stat().st_size
    book.add("r/ab", ("ab",))
    assert (tmp_path / "labels.jsonl").stat().st_size == size, "nothing is written where nothing changes"


def test_a_line_of_no_text_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_bytes(
        b'{"resource":"r/\xff","labels":["x"]}\n{"resource":"r/a","labels":["web"]}\n'
    )
    assert label_marks.MarkBook(tmp_path).get("r/a") == ("web",)
