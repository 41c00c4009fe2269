"""What comes in pieces is shown on a terminal as the text that it is, and a file of it is whole, or as it was."""

import io
import os
from pathlib import Path

import pytest

from kernel.cli import streams
from kernel.cli.exits import Ended


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_a_character_that_two_pieces_share_is_shown_whole_on_a_terminal(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    text = "naïve – ελληνικά 🙂\n"
    whole = text.encode()
    with streams.create(None) as take:
        for at in range(0, len(whole), size):
            take(whole[at : at + size])
    assert terminal.getvalue() == text


def test_what_is_no_text_is_shown_as_its_bytes_and_acts_on_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    with streams.create(None) as take:
        take(b"a\xffb\x1b[2J")
    assert "\x1b" not in terminal.getvalue()
    assert terminal.getvalue().startswith("a\\xffb")


def test_a_draft_of_somebody_else_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "copy.part").write_bytes(b"precious")
    for into in (streams.create, streams.replace):
        with pytest.raises(Ended, match="is there already"), into(str(tmp_path / "copy")):
            pass
    assert (tmp_path / "copy.part").read_bytes() == b"precious"
    assert not (tmp_path / "copy").exists()


def test_of_two_that_write_one_new_file_the_first_is_not_disturbed(tmp_path: Path) -> None:
    file = str(tmp_path / "copy")
    with streams.create(file) as take:
        take(b"first")
        with pytest.raises(Ended), streams.create(file):
            pass
    assert (tmp_path / "copy").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["copy"]


def test_an_output_holds_what_it_held_until_all_has_come(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_bytes(b"before")
    file.chmod(0o640)
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(Ended), streams.replace(str(file)) as take:
        take(b"half")
        raise Ended("it broke")
    assert (file.read_bytes(), sorted(os.listdir(tmp_path))) == (b"before", ["kept", "link"])
    with streams.replace(str(tmp_path / "link")) as take:
        take(b"new")
        assert file.read_bytes() == b"before"
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o640)
    assert sorted(os.listdir(tmp_path)) == ["kept", "link"]


def test_an_output_that_is_no_file_takes_pieces_as_they_come(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with streams.replace(str(tmp_path / "pipe")) as take:
        take(b"now")
    assert os.read(reader, 10) == b"now"
    os.close(reader)
    assert os.listdir(tmp_path) == ["pipe"]
