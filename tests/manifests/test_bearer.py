"""Who may speak through a door over HTTP."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.mcp import bearer

TOKEN = "abc.DEF-123_~+/x=="
DIGEST = bearer.digest_of(TOKEN)


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}", f"bearer   {TOKEN}", f"BEARER {TOKEN} \t"])
def test_the_one_header_with_the_token_is_believed(value: str) -> None:
    assert bearer.has_token([value.encode()], DIGEST)
    assert bearer.head_has_token(f"POST / HTTP/1.1\r\nHost: x\r\naUTHORIZATION: {value}\r\n\r\n".encode(), DIGEST)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [TOKEN],
        [f"Basic {TOKEN}"],
        [f"Bearer{TOKEN}"],
        [f"Bearer {TOKEN}="],
        [f"Bearer {TOKEN} {TOKEN}"],
        [f"Bearer {TOKEN}, Bearer {TOKEN}"],
        [f"Bearer {TOKEN}", f"Bearer {TOKEN}"],
        [f"Bearer {DIGEST}"],
        ["Bearer "],
    ],
)
def test_anything_else_is_not(values: list[str]) -> None:
    assert not bearer.has_token([value.encode() for value in values], DIGEST)


@pytest.mark.parametrize(
    "head",
    [
        b"Authorization: Bearer %b\r\n\r\n",  # the first line is the request's
        b"POST / HTTP/1.1\r\nX: y\r\n\r\nAuthorization: Bearer %b\r\n\r\n",  # of the body
        b"POST / HTTP/1.1\r\nX: y\r\n Authorization: Bearer %b\r\n\r\n",  # of a folded line
        b"POST / HTTP/1.1\r\nAuthorization : Bearer %b\r\n\r\n",
        b"POST / HTTP/1.1\nAuthorization: Bearer %b\n\n",
    ],
)
def test_a_token_in_another_place_of_a_head_counts_for_nothing(head: bytes) -> None:
    assert not bearer.head_has_token(head % TOKEN.encode(), DIGEST)


@given(st.lists(st.binary(max_size=80), max_size=3))
def test_nothing_but_the_token_is_ever_let_in(values: list[bytes]) -> None:
    assert not bearer.has_token(values, DIGEST)
    assert not bearer.head_has_token(b"\r\n".join([b"GET / HTTP/1.1", *values, b"", b""]), DIGEST)


@pytest.mark.parametrize(
    ("host", "origins", "is_here"),
    [
        ("127.0.0.1:80", [], True),
        ("127.0.0.1", [], True),
        ("LocalHost:80", ["HTTP://localhost:80"], True),
        ("[::1]:80", ["http://127.0.0.1"], True),
        ("127.0.0.1:81", [], False),
        ("127.0.0.1.evil.example:80", [], False),
        ("evil.example", [], False),
        ("127.0.0.1:80", ["null"], False),
        ("127.0.0.1:80", ["localhost"], False),
        ("127.0.0.1:80", ["https://localhost"], False),
        ("127.0.0.1:80", ["http://localhost", "http://evil.example"], False),
    ],
)
def test_a_request_names_this_port_of_this_machine(host: str, origins: list[str], is_here: bool) -> None:
    assert bearer.is_for_this_port([host.encode()], [one.encode() for one in origins], 80) is is_here
    assert not bearer.is_for_this_port([host.encode()], [one.encode() for one in origins], 8080)
    assert not bearer.is_for_this_port([host.encode()] * 2, [], 80)
