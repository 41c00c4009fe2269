"""Packed bodies and URLs, decided without a connection."""

import gzip
import itertools
import random
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hands.doubles import hand_module

inflate = hand_module("web", "bounded_inflate")
url_parts = hand_module("web", "url_parts")
WebFailed = hand_module("web", "web_failure").WebFailed


def bare(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(content) + packer.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "bare": ("deflate", bare),
}


def unpack(coding: str, packed: bytes, cuts: list[int]) -> bytes:
    stream = inflate.Inflate(coding)
    out = b""
    bounds = sorted({0, len(packed), *(cut % (len(packed) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(bounds):
        for piece in stream.feed(packed[start:end]):
            assert 0 < len(piece) <= inflate.PIECE
            out += piece
    stream.end()
    return out


@pytest.mark.parametrize("packer", PACKERS)
@given(content=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 5000)))
def test_what_was_packed_is_unpacked_wherever_it_is_cut(packer: str, content: bytes, cuts: list[int]) -> None:
    coding, pack = PACKERS[packer]
    assert unpack(coding, pack(content), cuts) == content


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 256 * 1024 + 200, 3_000_000])
def test_a_bomb_comes_in_bounded_pieces(packer: str, size: int) -> None:
    coding, pack = PACKERS[packer]
    assert unpack(coding, pack(bytes(size)), []) == bytes(size)


@pytest.mark.parametrize("packer", PACKERS)
def test_no_byte_stays_behind_when_a_piece_is_just_full(packer: str) -> None:
    coding, pack = PACKERS[packer]
    for more in range(300):
        content = bytes(inflate.PIECE + more)
        assert unpack(coding, pack(content), []) == content


def test_several_gzip_members_are_one_body_and_padding_is_none() -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"two") + bytes(10)
    assert unpack("gzip", packed, []) == b"one two"
    assert unpack("gzip", packed, list(range(len(packed)))) == b"one two"


def test_a_body_of_ever_so_many_gzip_members_is_none() -> None:
    """With each of them what follows is copied: of empty ones a quarter of a megabyte took as long as two hundred others."""
    assert unpack("gzip", gzip.compress(b"x") * 1000, []) == b"x" * 1000
    for cuts in ([], list(range(0, 30_000, 7))):
        with pytest.raises(WebFailed) as failed:
            unpack("gzip", gzip.compress(b"") * 1001, cuts)
        assert failed.value.code == "bad reply"


@pytest.mark.parametrize("packer", PACKERS)
def test_a_cut_body_is_broken_off(packer: str) -> None:
    coding, pack = PACKERS[packer]
    packed = pack(random.Random(1).randbytes(1000))
    for length in range(1, len(packed) - 1):
        with pytest.raises(WebFailed):
            unpack(coding, packed[:length], [])
    assert unpack(coding, b"", []) == b""


@given(st.binary(max_size=200))
def test_any_bytes_unpack_or_are_a_bad_reply(packed: bytes) -> None:
    for coding in inflate.CODINGS:
        try:
            unpack(coding, packed, [1])
        except WebFailed as failed:
            assert failed.code in ("bad reply", "broken off")  # noqa: PT017 (either outcome is right)


@pytest.mark.parametrize(
    ("text", "host", "port", "authority", "target"),
    [
        ("http://a.example/", "a.example", 80, "a.example", "/"),
        ("https://a.example/x?y=/z", "a.example", 443, "a.example", "/x?y=/z"),
        ("https://a.example:8443/", "a.example", 8443, "a.example:8443", "/"),
        ("http://[::1]:80/", "[::1]", 80, "[::1]:80", "/"),
        ("http://127.0.0.1/%20", "127.0.0.1", 80, "127.0.0.1", "/%20"),
    ],
)
def test_a_url_is_taken_apart(text: str, host: str, port: int, authority: str, target: str) -> None:
    url = url_parts.read(text)
    assert (url.host, url.port, url.authority, url.target) == (host, port, authority, target)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://a/",
        "http://a",
        "http://u@a/",
        "http://a:0/",
        "http://a:99999/",
        "http://a/#f",
        "HTTP://a/",
        "http://A/",
        "http:///x",
        "//a/",
        "http://a\\b/",
        "http://a/é",
        "http://[::1/",
        "http://[fe80::1%eth0]/",
    ],
)
def test_what_is_not_in_normal_form_is_refused(text: str) -> None:
    with pytest.raises(WebFailed):
        url_parts.read(text)
    for sign in ("\r\n", " ", "\0"):
        with pytest.raises(WebFailed):
            url_parts.read(f"http://a.example/x{sign}y")


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/new", "https://a.example/new"),
        ("other?x=1", "https://a.example/dir/other?x=1"),
        ("//b.example/x", "https://b.example/x"),
        ("http://b.example", "http://b.example"),
        ("https://b.example/x#part", "https://b.example/x"),
        ("../../../up", "https://a.example/up"),
        ("", "https://a.example/dir/page"),
        ("/caf\u00c3\u00a9", "https://a.example/caf%C3%A9"),
        ("/with space\r\n", "https://a.example/with%20space"),
        ("http://[bad", ""),
        ("file:///etc/passwd", "file:///etc/passwd"),
    ],
)
def test_a_location_becomes_absolute(location: str, leads_to: str) -> None:
    assert url_parts.absolute("https://a.example/dir/page", location) == leads_to


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_location_is_printable_ascii_or_nothing(location: str) -> None:
    target = url_parts.absolute("https://a.example/dir/page", location)
    assert target == "" or (target.isascii() and target.isprintable() and " " not in target)
