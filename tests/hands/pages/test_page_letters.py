"""In which letters a page or a text is read: by its mark, what its header names, what it says itself, or what fits."""

import time

import pytest

from runtime import charsets
from tests.hands.doubles import hand_module

main = hand_module("pages", "main")
markdown = hand_module("pages", "page_markdown")

URL = "https://example.org/news/a.html"


def read(raw: bytes, charset: str, *, whole: bool = False):  # type: ignore[no-untyped-def]  # a Page of the Hand's
    return markdown.read(raw, URL, charset, whole=whole)


def test_characters_are_those_that_header_or_page_say() -> None:
    raw = "<html><body><p>Ä</p></body></html>".encode("latin-1")
    assert "Ä" in read(raw, "iso-8859-1").markdown
    assert "Ä" in read(raw.replace(b"<html>", b'<html><meta charset="iso-8859-1">'), "").markdown
    assert "Ä" in read("<html><body><p>Ä</p></body></html>".encode(), "no-such-charset").markdown
    assert "Ä" in read("<html><body><p>Ä</p></body></html>".encode(), "utf-8\0").markdown
    assert "Ä" in read("<html><body><p>Ä</p></body></html>".encode("cp858"), "cp858").markdown  # lxml knows no such


@pytest.mark.parametrize(("head", "charset"), [("", "utf-8"), ("", ""), ("<meta charset=utf-8>", ""), ("", "no-such")])
def test_a_byte_that_is_no_letter_spoils_no_others(head: str, charset: str) -> None:
    raw = f"<html><head>{head}<title>Größe</title></head><body><p>Straße".encode() + b"\xff</p></body></html>"
    page = read(raw, charset)
    assert (page.title, page.markdown.startswith("Straße")) == ("Größe", True)


@pytest.mark.parametrize(
    ("kind", "raw", "text"),
    [
        ("text/plain; charset=iso-8859-1", "Ä “x”".encode("cp1252"), "Ä “x”"),
        ("text/plain", "Ä".encode(), "Ä"),
        ("text/plain", "Ä “x”".encode("cp1252"), "Ä “x”"),
        ("text/plain; charset=utf-8", "Ä".encode("cp1252"), "\ufffd"),
        ("text/markdown; charset=no-such", b"\xc4 \x81", "Ä \ufffd"),
        ("text/plain", "ÄÖ".encode() + b"\xc4 ", "ÄÖ\ufffd "),
    ],
)
def test_a_text_is_read_in_the_letters_that_its_header_says_or_that_fit(kind: str, raw: bytes, text: str) -> None:
    got = main.Got(URL, {"status": 200, "headers": {"content-type": kind}}, raw)
    assert main._text(got) == text


@pytest.mark.parametrize("named", ["", "; charset=utf-8"])
@pytest.mark.parametrize("letters", ["utf-16-le", "utf-16-be", "utf-8"])
def test_the_mark_at_its_beginning_says_what_letters_a_page_or_text_is_in(letters: str, named: str) -> None:
    headers = {"content-type": f"text/plain{named}"}
    text = "Größe: Привет"
    got = main.Got(URL, {"status": 200, "headers": headers}, f"\ufeff{text}".encode(letters))
    assert main._text(got) == text
    raw = f"\ufeff<html><head><title>{text}</title></head><body><p>{text}</p></body></html>".encode(letters)
    page = read(raw, got.charset)
    assert (page.title, page.markdown) == (text, f"{text}\n")


@pytest.mark.parametrize("charset", ["no-such-charset", "hex", "undefined", "idna", "utf-8", ""])
def test_a_text_is_read_whatever_characters_its_header_names(charset: str) -> None:
    headers = {"content-type": f"text/plain; charset={charset}"}
    assert main._text(main.Got(URL, {"status": 200, "headers": headers}, "Ä".encode())) == "Ä"


@pytest.mark.parametrize(
    ("content_type", "raw", "text"),
    [
        ("text/plain; charset=windows-1251;", "Привет".encode("cp1251"), "Привет"),
        ('text/plain; q=1; Charset="Windows-1251"', "Привет".encode("cp1251"), "Привет"),
        ("text/plain; charset=iso-8859-1", b"\x93Fish\x94 \x80 5", "“Fish” € 5"),
        ("text/plain;charset=US-ASCII", b"\x93Fish\x94", "“Fish”"),
        ("text/plain; charset=utf-8; charset=latin1", "Ä".encode(), "Ä"),
        ("text/plain; charset=\xff", "Ä".encode(), "Ä"),
    ],
)
def test_a_text_is_read_in_the_characters_that_a_browser_reads_it_in(content_type: str, raw: bytes, text: str) -> None:
    got = main.Got(URL, {"status": 200, "headers": {"content-type": content_type}}, raw)
    assert got.kind == "text/plain"
    assert main._text(got) == text
    assert text in read(b"<html><body><p>%s</p></body></html>" % raw, got.charset, whole=True).markdown


@pytest.mark.parametrize("filling", [";a", '";', ';a="b"', '\\";', ";charset*0=a"])
def test_a_long_content_type_is_looked_at_no_further_than_one_that_is_meant(filling: str) -> None:
    """The library takes a time that grows with the square of its length."""
    assert charsets.named(f"text/html; charset=utf-16; x{filling * 10}") == "utf-16"
    began = time.process_time()
    assert charsets.named(f"text/html{filling * 10_000}; charset=utf-16") != "utf-16"
    assert time.process_time() - began < 0.02


FAMILIES = (
    ("gb2312", "gb18030", "朱镕基說話"), ("Shift_JIS", "cp932", "①髙﨑の"), ("euc-kr", "cp949", "뷁믜 문장"),
    ("iso-8859-9", "cp1254", "“Türkçe” ğ"), ("tis-620", "cp874", "“ภาษา”"), ("utf-16", "utf-8", "naïve"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "letters", "text"), FAMILIES)
def test_a_page_is_read_to_its_end_in_the_largest_charset_of_the_family_that_it_names(
    name: str, letters: str, text: str
) -> None:
    body = f"<p>{text}, and on</p></body></html>".encode(letters)
    for head in (f"<meta charset={name}>", f"<meta http-equiv='Content-Type' content='text/html; charset={name}'>"):
        raw = f"<html><head>{head}</head><body>".encode() + body
        assert charsets.page_in_utf_8(raw).endswith(f"<p>{text}, and on</p></body></html>".encode())
        assert f"{text}, and on" in read(raw, "").markdown
    if name != "utf-16":
        assert f"{text}, and on" in read(b"<html><body>" + body, charsets.named(f"text/html; charset={name}")).markdown


@pytest.mark.parametrize("name", ["utf-7", "unicode_escape", "punycode"])
def test_no_charset_that_browsers_do_not_have_makes_letters_into_tags(name: str) -> None:
    raw = rb"<html><body><p>+ADw-script+AD4- \u003cscript\u003e all of it</body></html>"
    assert "all of it" in read(raw, charsets.named(f"text/html; charset={name}")).markdown
    assert (
        charsets.page_in_utf_8(raw.replace(b"<html>", f"<meta charset={name}>\xe4".encode("latin-1"))).count(b"<") == 5
    )
