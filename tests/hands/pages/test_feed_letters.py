"""A feed that was cut within a letter, as programs cut summaries, is read in the letters that all the rest is in."""

import pytest

from tests.hands.doubles import hand_module

feeds = hand_module("pages", "feed_reading")
URL = "https://example.org/feed"


def read(head: str, title: bytes, charset: str) -> tuple[str, str]:
    raw = f"{head}<rss version='2.0'><channel><title>Größe</title><item><title>".encode() + title
    found = feeds.read(raw + b"</title></item></channel></rss>", URL, charset, 9)
    return found["title"], found["entries"][0]["title"]


@pytest.mark.parametrize("charset", ["", "utf-8", "no-such"])
@pytest.mark.parametrize("head", ["", "<?xml version='1.0'?>", "<?xml version='1.0' encoding='UTF-8'?>"])
def test_half_a_letter_spoils_no_others(head: str, charset: str) -> None:
    assert read(head, "Straße 🚲".encode()[:-2] + b"\xe2\x80", charset) == ("Größe", "Straße \ufffd\ufffd")


@pytest.mark.parametrize("charset", ["", "utf-8"])
def test_what_is_in_other_letters_than_it_says_is_read_in_those(charset: str) -> None:
    raw = "<?xml version='1.0' encoding='utf-8'?><rss version='2.0'><channel><title>Größe “x”</title></channel></rss>"
    assert feeds.read(raw.encode("cp1252"), URL, charset, 9)["title"] == "Größe “x”"
