"""What comes in pieces is shown on a terminal as the text that it is, wherever a piece ends."""

import io

import pytest

from kernel.cli import streams


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
    with streams.target(None) as take:
        for at in range(0, len(whole), size):
            take(whole[at : at + size])
    assert terminal.getvalue() == text


def test_what_is_no_text_is_shown_as_its_bytes_and_acts_on_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    with streams.target(None) as take:
        take(b"a\xffb\x1b[2J")
    assert "\x1b" not in terminal.getvalue()
    assert terminal.getvalue().startswith("a\\xffb")
