"""A page that is kept as a file is read in the letters that it says, or that most of it is in."""

import pytest

from tests.hands.doubles import hand_module

html = hand_module("documents", "reading_html")


@pytest.mark.parametrize(
    "head", ["", "<meta charset=utf-8>", "<meta http-equiv=Content-Type content='text/html; charset=UTF-8'>"]
)
def test_a_byte_that_is_no_letter_spoils_no_others(head: str) -> None:
    raw = f"<html><head>{head}<title>Größe</title></head><body><p>Straße ".encode() + b"\xff!</p></body></html>"
    assert (html.title(raw), "".join(html.text(raw))) == ("Größe", "Straße \ufffd!\n")


def test_a_page_that_names_no_letters_and_is_no_utf_8_is_read_as_browsers_do() -> None:
    raw = "<html><title>Größe</title><p>“Straße”".encode("cp1252")
    assert (html.title(raw), "".join(html.text(raw))) == ("Größe", "“Straße”\n")


def test_what_a_page_says_of_its_letters_holds() -> None:
    raw = "<html><meta charset='windows-1251'><title>Привет</title>".encode("cp1251")
    assert html.title(raw) == "Привет"
