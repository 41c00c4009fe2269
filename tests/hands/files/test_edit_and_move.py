"""Files are changed in place exactly as asked or not at all, and moved without anything being lost."""

import asyncio
import difflib
import hashlib
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hands.doubles import FakeCall, hand_module
from tests.hands.files.conftest import Desk

text_change = hand_module("files", "text_change")
FileRefused = hand_module("files", "file_refusal").FileRefused
Failure = hand_module("files", "main").Failure
DIFF = "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three\n"


def code_of(desk: Desk, method: str, resource: str, **arguments: object) -> str:
    with pytest.raises(Failure) as failed:
        desk.run(getattr(desk.hand, method)(FakeCall(resource), **arguments))
    return str(failed.value.code)


# edit ----------------------------------------------------------------------------------------------------------------


def test_an_edit_replaces_what_stands_there_once(desk: Desk, root: Path) -> None:
    (root / "f").write_text("one two three")
    (root / "f").chmod(0o640)
    reply = desk.ask("edit", "root/f", old="two", new="zwei")
    assert (root / "f").read_text() == "one zwei three"
    assert reply["sha256"] == hashlib.sha256(b"one zwei three").hexdigest()
    assert reply["before"] == hashlib.sha256(b"one two three").hexdigest()
    assert (root / "f").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("old", "times"), [("x", 1), ("a", 1), ("a", 3), ("A", 2)])
def test_an_edit_that_fits_otherwise_than_said_changes_nothing(desk: Desk, root: Path, old: str, times: int) -> None:
    (root / "f").write_text("a b a")
    before = (root / "f").stat().st_ino
    assert code_of(desk, "edit", "root/f", old=old, new="z", times=times) == "no match"
    assert (root / "f").read_text() == "a b a"
    assert (root / "f").stat().st_ino == before


def test_an_edit_of_something_else_than_expected_changes_nothing(desk: Desk, root: Path) -> None:
    (root / "f").write_text("theirs")
    seen = hashlib.sha256(b"mine").hexdigest()
    assert code_of(desk, "edit", "root/f", old="theirs", new="mine", expect=seen) == "conflict"
    assert (root / "f").read_text() == "theirs"


def test_an_edit_never_loses_what_was_written_meanwhile(
    desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "f").write_text("old")
    real = text_change.replace

    def interposed(text: bytes, old: bytes, new: bytes, times: int) -> bytes:
        (root / "theirs").write_text("theirs, old")
        (root / "theirs").replace(root / "f")
        made: bytes = real(text, old, new, times)
        return made

    monkeypatch.setattr(text_change, "replace", interposed)  # a real program would miss the instant
    assert code_of(desk, "edit", "root/f", old="old", new="new") == "conflict"
    assert (root / "f").read_text() == "theirs, old"


def test_a_link_is_not_edited_and_a_large_file_neither(desk: Desk, root: Path) -> None:
    (root / "link").symlink_to("../secret")
    assert code_of(desk, "edit", "root/link", old="secret", new="x") == "symbolic link"
    with (root / "large").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    assert code_of(desk, "edit", "root/large", old="secret", new="x") == "too large"
    (root / "grows").write_text("a" * 1000)
    assert code_of(desk, "edit", "root/grows", old="a", new="b" * 20_000, times=1000) == "too large"
    assert (root.parent / "secret").read_text() == "secret"


def test_an_edited_file_keeps_its_labels_and_gets_its_editors(desk: Desk, root: Path) -> None:
    desk.ask("make_folder", "root/d", labels=["mail"])
    assert desk.ask("stat", "root/d")["labels"] == {"mail"}
    (root / "f").write_text("a")
    os.setxattr(root / "f", "user.maniple.labels", b"web")
    assert desk.ask("edit", "root/f", old="a", new="b", labels=["mail"])["labels"] == {"web"}
    assert desk.ask("stat", "root/f")["labels"] == {"web", "mail"}


# patch ---------------------------------------------------------------------------------------------------------------


def test_a_patch_changes_a_file_as_the_diff_says(desk: Desk, root: Path) -> None:
    (root / "f").write_text("one\ntwo\nthree\n")
    reply = desk.ask("patch", "root/f", diff=DIFF)
    assert (root / "f").read_text() == "one\nzwei\nthree\n"
    assert (reply["offsets"], reply["added"], reply["removed"]) == ([0], 1, 1)


def test_a_hunk_that_has_moved_is_found_and_told(desk: Desk, root: Path) -> None:
    (root / "f").write_text("new\nlines\none\ntwo\nthree\n")
    assert desk.ask("patch", "root/f", diff=DIFF)["offsets"] == [2]
    assert (root / "f").read_text() == "new\nlines\none\nzwei\nthree\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("one\ntwo\nfour\n", "no match"),
        ("one\r\ntwo\r\nthree\r\n", "no match"),
        ("x\none\ntwo\nthree\n" + "y\n" * 3 + "one\ntwo\nthree\n", ""),
        ("", "no match"),
    ],
)
def test_a_hunk_that_does_not_stand_there_changes_nothing(desk: Desk, root: Path, text: str, code: str) -> None:
    (root / "f").write_bytes(text.encode())
    if code:
        assert code_of(desk, "patch", "root/f", diff=DIFF) == code
        assert (root / "f").read_bytes() == text.encode()
    else:  # the nearest is meant
        desk.ask("patch", "root/f", diff=DIFF)
        assert (root / "f").read_text() == text.replace("two", "zwei", 1)


def test_a_hunk_that_stands_equally_near_twice_is_not_guessed() -> None:
    block = "one\ntwo\nthree\n"
    diff = DIFF.replace("-1,3 +1,3", "-4,3 +4,3")
    with pytest.raises(FileRefused, match="two places"):
        text_change.apply_diff((block + "x\nx\nx\n" + block).encode(), diff.encode())


@pytest.mark.parametrize(
    "diff",
    [
        "",
        "no diff\n",
        "@@ -1 +1 @@\n",
        "@@ -1,2 +1,1 @@\n-a\n",
        "@@ -1,1 +1,1 @@\n-a\n+b\n+c\n",
        "--- a\n+++ b\n--- c\n+++ d\n@@ -1 +1 @@\n-a\n+b\n",
        "--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n--- c\n+++ d\n@@ -1 +1 @@\n-a\n+b\n",
        "@@ -5 +5 @@\n-a\n+b\n@@ -1 +1 @@\n-a\n+b\n",
        "@@ -" + "9" * 40 + " +1 @@\n-a\n+b\n",
    ],
)
def test_what_is_no_diff_of_one_file_is_told(desk: Desk, root: Path, diff: str) -> None:
    (root / "f").write_text("a\n")
    assert code_of(desk, "patch", "root/f", diff=diff) == "arguments"
    assert (root / "f").read_text() == "a\n"


def test_a_diff_from_nothing_makes_a_file_and_replaces_none(desk: Desk, root: Path) -> None:
    diff = "--- /dev/null\n+++ b/f\n@@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file\n"
    desk.ask("patch", "root/f", diff=diff)
    assert (root / "f").read_text() == "a\nb"
    assert code_of(desk, "patch", "root/f", diff=diff) == "exists"


LINES = st.lists(st.sampled_from(["a", "b", "c", "", "ä"]), max_size=25)


@given(LINES, LINES, st.booleans(), st.booleans(), st.integers(0, 4))
def test_what_difflib_tells_apart_a_patch_makes_the_same(
    old: list[str], new: list[str], old_ends: bool, new_ends: bool, around: int
) -> None:
    before, after = ("\n".join(lines) + "\n" * ends for lines, ends in ((old, old_ends), (new, new_ends)))
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), "a", "b", n=around)
    diff = "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)
    if diff:
        assert text_change.apply_diff(before.encode(), diff.encode()).text.decode() == after


def peak(work: Callable[[], object]) -> int:
    """Bytes that it takes at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_change_takes_no_more_memory_than_the_text_a_few_times() -> None:
    """All callers share one process."""
    size, made = 1024 * 1024, list[bytes]()
    lines, last = b"a\n" * (size // 2), size // 2
    diff = f"@@ -1 +1 @@\n-a\n+b\n@@ -{last - 1},2 +{last - 1},2 @@\n a\n-a\n+b\n".encode()
    assert peak(lambda: made.append(text_change.apply_diff(lines, diff).text)) < 4 * size
    assert made[0] == b"b\n" + lines[4:] + b"b\n"
    grows = b"a" * size

    def too_large() -> None:
        with pytest.raises(FileRefused, match="bytes"):
            text_change.replace(grows, b"a", b"b" * 17, size)

    assert peak(too_large) < 4 * size


def test_many_large_files_are_changed_one_after_the_other(desk: Desk, root: Path) -> None:
    """Each takes its size a few times, and all callers share one process."""
    size = 4 * 1024 * 1024
    for number in range(8):
        (root / f"{number}").write_bytes(b"a" * size + b"b")

    async def all_of_them() -> list[dict[str, object]]:
        return list(
            await asyncio.gather(*(desk.hand.edit(FakeCall(f"root/{number}"), "b", "c") for number in range(8)))
        )

    assert peak(lambda: desk.run(all_of_them())) < 6 * size
    assert {(root / f"{number}").read_bytes()[-2:] for number in range(8)} == {b"ac"}


@pytest.mark.parametrize(
    ("text", "hunk", "fits"),
    [
        (b"a\nb", b"-b\n\\\n+c\n", b"a\nc\n"),
        (b"a\nb\n", b"-b\n\\\n+c\n", None),
        (b"a\nb", b"-b\n+c\n", None),
        (b"a\nbc\n", b"-b\n\\\n+c\n", None),
        (b"a\nb\nc\n", b"-\n\\\n+c\n", None),
        (b"a\n\nb\n", b"-\n+c\n", b"a\nc\nb\n"),
        (b"ab\nb\n", b"-b\n+c\n", b"ab\nc\n"),
    ],
)
def test_a_hunk_fits_whole_lines_only(text: bytes, hunk: bytes, fits: bytes | None) -> None:
    diff = b"@@ -1 +1 @@\n" + hunk
    if fits is None:
        with pytest.raises(FileRefused, match="does not match"):
            text_change.apply_diff(text, diff)
    else:
        assert text_change.apply_diff(text, diff).text == fits


# move and make-folder ------------------------------------------------------------------------------------------------


def test_a_file_and_a_folder_move_with_all_they_are(desk: Desk, root: Path) -> None:
    (root / "in/deep").mkdir(parents=True)
    (root / "in/deep/f").write_text("f")
    os.setxattr(root / "in/deep/f", "user.maniple.labels", b"web")
    assert desk.ask("move", "root/in", source="deep/f", target="f")["labels"] == {"web"}
    assert (root / "in/f").read_text() == "f"
    assert desk.ask("stat", "root/in/f")["labels"] == {"web"}
    assert desk.ask("move", "root", source="in", target="a/b/out", make_folders=True)["kind"] == "folder"
    assert (root / "a/b/out/f").read_text() == "f"
    assert not (root / "in").exists()


def test_a_move_marks_what_it_moves_with_its_callers_labels(desk: Desk, root: Path) -> None:
    (root / "f").touch()
    desk.ask("move", "root", source="f", target="g", labels=["web"])
    assert desk.ask("stat", "root/g")["labels"] == {"web"}


def test_a_move_replaces_nothing_and_moves_no_link(desk: Desk, root: Path) -> None:
    (root / "f").write_text("f")
    (root / "g").write_text("g")
    (root / "link").symlink_to("f")
    (root / "d/e").mkdir(parents=True)
    os.mkfifo(root / "fifo")
    for source, target, code in (
        ("f", "g", "exists"),
        ("f", "f", "arguments"),
        ("link", "h", "symbolic link"),
        ("link", "link/h", "arguments"),
        ("fifo", "h", "not a file"),
        ("none", "h", "not found"),
        ("f", "none/h", "not found"),
        ("d", "d/e/d", "arguments"),
        ("d", "f", "exists"),
    ):
        assert code_of(desk, "move", "root", source=source, target=target) == code, (source, target)
    assert ((root / "f").read_text(), (root / "g").read_text()) == ("f", "g")
    assert sorted(os.listdir(root)) == ["d", "f", "fifo", "g", "link"]


def test_labels_in_the_book_move_with_a_folder(desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without attributes, where they are written down by resource."""
    (root / "d/e").mkdir(parents=True)
    (root / "d/e/f").touch()
    desk.hand.book.put("root/d/e/f", ("web",))
    desk.ask("move", "root", source="d", target="moved")
    assert desk.ask("stat", "root/moved/e/f")["labels"] == {"web"}
    assert desk.hand.book.get("root/d/e/f") == ()


def test_a_folder_is_made_once_with_those_above(desk: Desk, root: Path) -> None:
    assert desk.ask("make_folder", "root/a/b")["made"] is True
    assert desk.ask("make_folder", "root/a/b")["made"] is False
    (root / "f").touch()
    (root / "out").symlink_to("..")
    assert code_of(desk, "make_folder", "root/f") == "not a folder"
    assert code_of(desk, "make_folder", "root/out/made") == "symbolic link"
    assert sorted(os.listdir(root.parent)) == ["root", "scratch", "secret", "state"]


# restore -------------------------------------------------------------------------------------------------------------


def test_what_was_deleted_last_comes_back_first(desk: Desk, root: Path) -> None:
    bins = []
    for text in ("first", "second"):
        (root / "f").write_text(text)
        bins.append(str(desk.ask("delete", "root/f")["bin"]).rpartition("/")[2])
    listed = desk.ask("bin", "root")["entries"]
    assert isinstance(listed, list)
    assert [(entry["path"], entry["bin"]) for entry in listed] == [("root/f", bins[1]), ("root/f", bins[0])]
    desk.ask("restore", "root/f")
    assert (root / "f").read_text() == "second"
    assert code_of(desk, "restore", "root/f") == "exists"
    (root / "f").unlink()
    desk.ask("restore", "root/f", bin=bins[0])
    assert (root / "f").read_text() == "first"
    assert os.listdir(root / ".maniple-bin") == []
    assert code_of(desk, "restore", "root/f") == "not found"


def test_nothing_is_restored_to_where_it_did_not_lie(desk: Desk, root: Path) -> None:
    """Whoever may restore one path must not read another through the bin."""
    (root / "private").mkdir()
    (root / "private/f").write_text("private")
    name = str(desk.ask("delete", "root/private/f")["bin"]).rpartition("/")[2]
    for resource in ("root/f", "root/public/f", "root/private"):
        assert code_of(desk, "restore", resource, bin=name) == "not found"
    for wrong in (f"../{name}", f"../../.maniple-bin/{name}", "../../secret", name[:25] + ".from"):
        assert code_of(desk, "restore", "root/private/f", bin=wrong) == "not found"
    assert desk.ask("bin", "root/public")["entries"] == []
    assert len(desk.ask("bin", "root/private")["entries"]) == 1  # type: ignore[arg-type]  # a list


def test_a_restored_file_has_its_labels(desk: Desk, root: Path) -> None:
    (root / "f").touch()
    os.setxattr(root / "f", "user.maniple.labels", b"web")
    desk.ask("delete", "root/f")
    assert desk.ask("bin", "root")["labels"] == {"web"}
    assert desk.ask("restore", "root/f")["labels"] == {"web"}
