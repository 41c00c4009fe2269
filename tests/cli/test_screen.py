"""What is drawn for people: each character is one to see, and a text is cut to the columns that there are."""

import json
import sys

import pytest

from kernel.cli import audit_verify, screen
from manifests import policy
from manifests.visibility import INVISIBLE


@pytest.mark.parametrize(
    "char", ["\u3164", "\ufe0f", "\ufe00", "\U000e0100", "\U000e01ef", "\u034f", "\u115f", "\u202e"]
)
def test_a_character_that_is_drawn_as_nothing_is_shown_by_its_number(char: str) -> None:
    text = f"pay{char} ünd"
    shown = f"pay\\u{{{ord(char):x}}} ünd"
    assert screen.visible(text) == screen.safe(text) == shown
    assert char not in screen.safe_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(screen.safe_json(json.dumps(text, ensure_ascii=False))) == text
    assert policy.escape_invisible(text) == f"pay\\u{ord(char):04x} ünd"


def test_nothing_invisible_is_left_in_what_is_written() -> None:
    assert INVISIBLE.isdisjoint(screen.safe("".join(INVISIBLE)))


@pytest.mark.parametrize("text", ["", "abcdef", "ünïcödé", "日本語の文", "e\u0301e\u0301e\u0301e\u0301", "a 日 b 本 c"])
def test_a_text_is_cut_to_the_longest_beginning_that_fits_with_its_dots(text: str) -> None:
    for width in range(1, 14):
        cut = screen.cut(text, width)
        begins = [text[:at] for at in range(len(text) + 1) if screen.width_of(text[:at]) <= width - 1]
        assert cut == (text if screen.width_of(text) <= width else begins[-1].rstrip() + "…")


def test_each_character_of_a_long_text_is_measured_only_a_few_times() -> None:
    """So that what a Hand wrote, however long, is drawn at once."""
    measured = 0

    def count(_frame: object, event: str, called: object) -> None:
        nonlocal measured
        measured += event == "c_call" and getattr(called, "__name__", "") == "east_asian_width"

    sys.setprofile(count)
    screen.cut("é" * 500, 80)
    sys.setprofile(None)
    assert 500 <= measured <= 1_000


def test_a_list_of_words_has_lines_as_wide_as_the_terminal_and_elsewhere_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (("hand", "x"), ("confined by", tuple(f"a-layer-{number}" for number in range(12))))
    assert screen.fields(rows).count("\n") == 1
    monkeypatch.setattr(screen, "is_terminal", lambda _: True)  # pytest has taken stdout, which is none
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    lines = screen.fields(rows).splitlines()
    assert max(map(len, lines)) <= 60
    assert [line.startswith(" " * 13 + "a-layer-") for line in lines[2:]] == [True] * (len(lines) - 2)
    assert ", ".join(rows[1][1]) == " ".join(line[13:] for line in lines[1:])


def test_a_symbol_of_what_is_said_may_be_a_picture_and_nothing_else_hides_behind_it() -> None:
    said = "Mind: \u26a0\ufe0f\nand \u2705\ufe0f"
    assert screen.prose(said) == screen.safe(screen.prose(said)) == said
    assert screen.prose("a\ufe0f \u26a0\ufe0f\ufe0f \ufe0f\u26a0\ufe0e\x1b[1m") == (
        "a\\u{fe0f} \u26a0\ufe0f\\u{fe0f} \\u{fe0f}\u26a0\\u{fe0e}\\u{1b}[1m"
    )
    assert screen.visible(said) != said  # a resource, say, is shown to the letter


def test_one_entry_that_no_checkpoint_covers_yet_is_told_as_one() -> None:
    held = audit_verify.Result(ok=True, entries=9, signed=8, checkpoints=1, key="home+1+x")
    assert audit_verify.summary(held) == (
        "The log is valid: 9 entries, 8 of them covered by 1 checkpoint signed by home+1; "
        "the last one is newer than the newest checkpoint."
    )
