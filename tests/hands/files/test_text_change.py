"""A text and a diff, without files: bounds, places that have moved, blank lines, and ends that are missing."""

import pytest

from tests.hands.doubles import hand_module

text_change = hand_module("files", "text_change")
FileRefused = hand_module("files", "file_refusal").FileRefused


def test_a_change_may_come_to_as_many_bytes_as_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_change, "CHANGE_MOST", 4)
    assert text_change.replace(b"abc", b"c", b"cd", 1) == b"abcd"
    assert text_change.apply_diff(b"a\n", b"@@ -1 +1,2 @@\n a\n+b\n").text == b"a\nb\n"
    with pytest.raises(FileRefused, match="more than 4 bytes"):
        text_change.replace(b"abc", b"c", b"cde", 1)
    with pytest.raises(FileRefused, match="more than 4 bytes"):
        text_change.apply_diff(b"a\n", b"@@ -1 +1,2 @@\n a\n+bb\n")


def test_a_line_without_an_end_comes_to_stand_in_no_middle() -> None:
    diff = b"@@ -1 +1,2 @@\n a\n\\ No newline at end of file\n+b\n"
    with pytest.raises(FileRefused, match="in the middle"):
        text_change.apply_diff(b"a", diff)


def test_a_hunk_is_looked_for_where_those_before_it_say_that_the_text_has_moved() -> None:
    """A line like its own, nearer to where it stood once, is not it."""
    found = text_change.apply_diff(b"n\nn\nn\na\nz\nq\nr\nz\n", b"@@ -1 +1 @@\n-a\n+A\n@@ -5 +5 @@\n-z\n+Z\n")
    assert (found.text, found.offsets) == (b"n\nn\nn\nA\nz\nq\nr\nZ\n", (3, 3))


def test_what_is_added_beyond_the_end_stands_at_the_end_and_that_is_told() -> None:
    found = text_change.apply_diff(b"a\n", b"@@ -9,0 +10 @@\n+b\n")
    assert (found.text, found.offsets, found.added, found.removed) == (b"a\nb\n", (-8,), 1, 0)


@pytest.mark.parametrize(("place", "is_found"), [(2, False), (3, True), (7, True), (8, False)])
def test_a_hunk_is_looked_for_so_far_and_no_further(
    monkeypatch: pytest.MonkeyPatch, place: int, is_found: bool
) -> None:
    monkeypatch.setattr(text_change, "MOVED_MOST", 2)
    lines = [b"x\n"] * 11
    lines[place] = b"old\n"
    if is_found:
        assert text_change.apply_diff(b"".join(lines), b"@@ -6 +6 @@\n-old\n+new\n").offsets == (place - 5,)
        return
    with pytest.raises(FileRefused, match="does not match"):
        text_change.apply_diff(b"".join(lines), b"@@ -6 +6 @@\n-old\n+new\n")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_an_empty_line_that_lost_its_blank_on_the_way_is_one_that_stays(end: bytes) -> None:
    """As mail and editors leave it that take blanks at the end of a line for nothing."""
    found = text_change.apply_diff(b"a" + end + end + b"b\n", b"@@ -1,3 +1,3 @@\n a" + end + end + b"-b\n+c\n")
    assert (found.text, found.added, found.removed) == (b"a" + end + end + b"c\n", 1, 1)


@pytest.mark.parametrize("blank", [b"", b"\n", b"\n\r\n", b"\n\n\n"])
def test_empty_lines_at_the_end_belong_to_the_last_hunk_as_far_as_it_says(blank: bytes) -> None:
    diff = b"@@ -1,3 +1,3 @@\n-a\n+A\n\n\n" + blank
    assert text_change.apply_diff(b"a\n\n\nb\n", diff).text == b"A\n\n\nb\n"
    assert text_change.apply_diff(b"a\nb\n", b"@@ -1 +1 @@\n-a\n+A\n" + blank).text == b"A\nb\n"


def test_hunks_stand_in_order_and_there_are_no_more_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_change, "HUNKS_MOST", 2)
    first, second = b"@@ -1,2 +1,2 @@\n a\n-b\n+B\n", b"@@ -3 +3 @@\n-c\n+C\n"
    assert text_change.apply_diff(b"a\nb\nc\n", first + second).text == b"a\nB\nC\n"
    with pytest.raises(FileRefused, match="more than 2 hunks"):
        text_change.apply_diff(b"a\nb\nc\nd\n", first + second + b"@@ -4 +4 @@\n-d\n+D\n")
    with pytest.raises(FileRefused, match="begins before the one above it ends"):
        text_change.apply_diff(b"a\nb\nc\n", first + b"@@ -2 +2 @@\n-B\n+b\n")


@pytest.mark.parametrize(
    ("diff", "why"),
    [
        (b"@@ -1 +1,2 @@\n a\n-b\n+c\n", "the hunk that ends in line 4 is longer than it says"),
        (b"--- a\n+++ b\n@@ -1,2 +1 @@\n-a\n*b\n", "line 5: the hunk is not as long as it says"),
        (b"@@ -1 +1 @@\n-a\n+b\nand more\n", "line 4: 'and more' begins no hunk"),
    ],
)
def test_what_is_wrong_with_a_diff_is_told_with_its_line(diff: bytes, why: str) -> None:
    with pytest.raises(FileRefused, match=why):
        text_change.apply_diff(b"a\nb\n", diff)


def test_two_lines_are_not_taken_for_one_that_they_would_make() -> None:
    diff = b"@@ -1,2 +1 @@\n-a\n\\ No newline at end of file\n-b\n+c\n"
    with pytest.raises(FileRefused, match="does not match"):
        text_change.apply_diff(b"ab\nx\n", diff)


@pytest.mark.parametrize(
    ("text", "hint"), [(b"a\r\nb\r\n", "CR LF"), (b"a\nb", "No newline at end of file"), (b"a\nc\n", "")]
)
def test_ends_of_lines_that_nobody_sees_are_told_where_a_text_does_not_occur_for_them(text: bytes, hint: str) -> None:
    diff = b"@@ -1,2 +1,1 @@\n a\n-b\n"
    with pytest.raises(FileRefused) as edited:
        text_change.replace(text, b"a\nb\n", b"", 1)
    with pytest.raises(FileRefused) as patched:
        text_change.apply_diff(text, diff)
    for refused in (edited, patched):
        assert hint in refused.value.text
        assert ("line" in refused.value.text) == bool(hint)
