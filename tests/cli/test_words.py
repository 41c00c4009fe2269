"""What a Hand says is printed as it comes, each word once, and nothing of it acts on a terminal."""

import pytest

from kernel.cli.words import Words
from wire.codec import Value


def said(text: str, at: int = 0, thought: int = 1, run: str = "r-1") -> dict[str, Value]:
    return {"run": run, "thought": thought, "at": at, "text": text}


@pytest.fixture
def words() -> Words:
    words = Words()
    words.follow("r-1")
    return words


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_pieces_are_printed_as_they_come_and_the_end_adds_what_is_missing(
    words: Words, capsys: pytest.CaptureFixture[str]
) -> None:
    words.hear(said("Good "))
    assert printed(capsys) == "Good "
    words.hear(said("morning", at=5))
    words.end("Good morning, Ada.")
    assert printed(capsys) == "morning, Ada.\n"


def test_what_was_shown_whole_is_not_printed_again(words: Words, capsys: pytest.CaptureFixture[str]) -> None:
    words.hear(said("All of it."))
    words.end("All of it.")
    assert printed(capsys) == "All of it.\n"


def test_each_thought_begins_a_line_and_another_answer_is_printed_whole(
    words: Words, capsys: pytest.CaptureFixture[str]
) -> None:
    words.hear(said("I look."))
    words.hear(said("It is so", thought=2))
    words.hear(said("late", at=7))  # of the thought before
    words.end('{"so": true}')
    assert printed(capsys) == 'I look.\nIt is so\n{"so": true}\n'


def test_an_answer_in_place_of_one_that_broke_off_is_told_to_be_that(
    words: Words, capsys: pytest.CaptureFixture[str]
) -> None:
    words.hear(said("It is half"))
    words.hear(said("It is ", thought=2) | {"again": True})
    words.hear(said("all said.", at=6, thought=2) | {"again": True})
    words.end("It is all said.")
    out, err = capsys.readouterr()
    assert out == "It is half\nIt is all said.\n"
    assert err.count("broke off; the model was asked again") == 1


def test_after_a_gap_nothing_is_printed_until_the_whole_is_there(
    words: Words, capsys: pytest.CaptureFixture[str]
) -> None:
    words.hear(said("One "))
    words.hear(said("three ", at=8))
    words.hear(said("four", at=14))
    words.end("One two three four")
    assert printed(capsys) == "One \nOne two three four\n"


def test_what_comes_before_the_run_is_known_waits_and_that_of_others_is_passed_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = Words()
    words.hear(said("Hello", run="r-2"))
    words.hear(said("Not mine", run="r-3"))
    assert printed(capsys) == ""
    words.follow("r-2")
    words.end("Hello")
    assert printed(capsys) == "Hello\n"


@pytest.mark.parametrize("body", [None, "text", {"run": "r-1"}, said("x") | {"at": "0"}, said("x") | {"text": b"x"}])
def test_what_is_no_piece_is_passed_over(words: Words, body: Value, capsys: pytest.CaptureFixture[str]) -> None:
    words.hear(body)
    words.end("")
    assert printed(capsys) == "\n"


def test_nothing_in_it_acts_on_a_terminal(words: Words, capsys: pytest.CaptureFixture[str]) -> None:
    words.hear(said("a\x1b[31mb\r\u202ec\n"))
    assert printed(capsys) == "a\\u{1b}[31mb\\r\\u{202e}c\n"


def test_another_line_is_taken_away_before_anything_is_printed(words: Words) -> None:
    cleared: list[bool] = []
    words.clear = lambda: cleared.append(words.is_midway)
    words.hear(said("a"))
    words.hear(said("b\n", at=1))
    words.end("ab\n")
    assert cleared == [False, True, False]


def test_after_a_line_that_was_broken_off_an_answer_that_was_shown_whole_leaves_no_empty_one(
    words: Words, capsys: pytest.CaptureFixture[str]
) -> None:
    """What else is to be told of an answer comes on lines of its own, before the answer is ended."""
    words.hear(said("All of it."))
    words.break_off()
    words.end("All of it.")
    assert printed(capsys) == "All of it.\n"
