"""Cutting long texts: the pieces cover the text, fit, and begin where the text's structure says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.chunks import split_text
from tests.spread import spread

pieces = st.lists(
    st.sampled_from(["# Head\n", "word ", "One. ", "\n\n", "\n", "好。", "x" * 30, "\0", "é", " "]), max_size=60
)


@given(text=pieces.map("".join), most=st.integers(1, 80))
def test_the_pieces_are_the_text_and_none_is_too_long(text: str, most: int) -> None:
    spans = split_text(text, most)
    assert "".join(text[start:finish] for start, finish in spans) == text
    assert all(finish - start <= most for start, finish in spans)
    assert all(finish > start for start, finish in spans) or not text


def test_a_short_text_is_one_piece() -> None:
    assert split_text("# One\n\nA few words.\n", 100) == ((0, 20),)


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [
        ("# One\n\naaaa bbbb\n\n# Two\n\ncccc dddd\n", 20, ["# One\n\naaaa bbbb\n\n", "# Two\n\ncccc dddd\n"]),
        ("aaaa bbbb cccc.\n\ndddd eeee ffff.", 20, ["aaaa bbbb cccc.\n\n", "dddd eeee ffff."]),
        ("Aaaa bbbb. Cccc dddd. Eeee.", 22, ["Aaaa bbbb. Cccc dddd. ", "Eeee."]),
        ("aaaa bbbb cccc", 10, ["aaaa bbbb ", "cccc"]),
        ("我喜欢苹果。他喜欢茶。", 7, ["我喜欢苹果。", "他喜欢茶。"]),
        ("aaaaaaaaaaaa", 5, ["aaaaa", "aaaaa", "aa"]),
    ],
)
def test_a_long_text_is_cut_at_its_strongest_boundaries(text: str, most: int, cut: list[str]) -> None:
    assert [text[start:finish] for start, finish in split_text(text, most)] == cut


def test_a_heading_stays_with_what_follows_it() -> None:
    text = "# A heading\n\n" + "A sentence of some words. " * 20
    start, finish = split_text(text, 200)[0]
    assert text[start:finish].startswith("# A heading\n\nA sentence")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("signs", spread(["!", '."', "?!", ".)", "\n\t", " ", "# \n", "。"], 3))
def test_a_megabyte_of_signs_is_cut_as_quickly_as_one_of_words(signs: str) -> None:
    text = signs * (1_000_000 // len(signs)) + "a"
    assert split_text(text)[-1][1] == len(text)
