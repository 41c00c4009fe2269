"""What a program asks of its proxy is read strictly: an address for the kernel to judge, and what is passed on."""

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import proxy_head
from runtime.proxy_head import HeadInvalid, Wanted


def _head(first: str, *fields: str) -> bytes:
    return "\r\n".join((first, *fields, "", "")).encode("latin-1")


def test_a_tunnel_is_asked_for_by_connect() -> None:
    wanted = proxy_head.read(_head("CONNECT example.org:443 HTTP/1.1", "Host: example.org:443", "User-Agent: curl"))
    assert wanted == Wanted(address="example.org:443", forward=b"", is_tunnel=True, call=None)
    assert proxy_head.read(_head("CONNECT [::1]:443 HTTP/1.0")).address == "[::1]:443"


def test_a_plain_request_is_passed_on_as_its_server_expects_it() -> None:
    wanted = proxy_head.read(_head(
        "POST http://me@example.org/a?b=c HTTP/1.1", "Accept: */*", "Host: example.org", "Proxy-Connection: keep-alive",
        "Connection: keep-alive, te", "TE: trailers", "Upgrade: h2c", "Keep-Alive: timeout=5", "Content-Length: 3",
        "proxy-authorization: Basic NDI6",
    ))  # fmt: skip
    assert (wanted.address, wanted.call, wanted.is_tunnel) == ("example.org:80", 42, False)
    assert wanted.forward == _head(
        "POST /a?b=c HTTP/1.1", "Host: example.org", "Accept: */*", "Content-Length: 3", "Connection: close"
    )


@pytest.mark.parametrize("fields", [(), ("Host: inner.example",), ("host: a", "Host: b")])
def test_the_server_hears_the_host_that_was_judged_and_no_other(fields: tuple[str, ...]) -> None:
    """RFC 9112, section 3.2.2."""
    wanted = proxy_head.read(_head("GET http://me@example.org:8080/ HTTP/1.1", *fields, "X: y"))
    assert wanted.forward == _head("GET / HTTP/1.1", "Host: example.org:8080", "X: y", "Connection: close")


def test_a_program_that_speaks_the_older_version_is_answered_in_it() -> None:
    """It could not read an answer in pieces."""
    assert proxy_head.read(_head("GET http://a/ HTTP/1.0")).forward.startswith(b"GET / HTTP/1.0\r\nHost: a\r\n")


@pytest.mark.parametrize(
    ("target", "address", "path"),
    [
        ("http://a:8080", "a:8080", "/"),
        ("http://a?x", "a:80", "/?x"),
        ("HTTP://A/", "A:80", "/"),
        ("http://[2001:db8::1]/x", "[2001:db8::1]:80", "/x"),
    ],
)
def test_an_address_and_a_path_are_taken_from_a_url(target: str, address: str, path: str) -> None:
    wanted = proxy_head.read(_head(f"GET {target} HTTP/1.1"))
    assert wanted.address == address
    assert wanted.forward.startswith(f"GET {path} HTTP/1.1\r\n".encode())


def test_the_user_of_the_proxys_url_names_the_call() -> None:
    for name, call in ((b"42:", 42), (b"42", 42), (b"9" * 18 + b":x", 10**18 - 1)):
        user = base64.b64encode(name).decode()
        assert proxy_head.read(_head("CONNECT a:1 HTTP/1.1", f"Proxy-Authorization: Basic {user}")).call == call


@pytest.mark.parametrize(
    "head",
    [
        _head("example.org:443 HTTP/1.1"),
        _head("CONNECT example.org HTTP/1.1"),
        _head("CONNECT example.org:443443 HTTP/1.1"),
        _head("CONNECT a b:443 HTTP/1.1"),
        _head("CONNECT a:443:80 HTTP/1.1"),
        _head("CONNECT a:443 HTTP/2"),
        _head("GET / HTTP/1.1"),
        _head("GET https://a/ HTTP/1.1"),
        _head("GET ftp://example.org/ HTTP/1.1"),
        _head("GET http:/// HTTP/1.1"),
        _head("GET http://a/ HTTP/1.1", "no colon"),
        _head("GET http://a/ HTTP/1.1", " folded: line"),
        _head("GET http://a/ HTTP/1.1", "X: a\rb"),
        _head("GET http://a/ HTTP/1.1", "X: a\nConnection: keep-alive"),
        _head("CONNECT a:1 HTTP/1.1", "Proxy-Authorization: Basic ?"),
        _head("CONNECT a:1 HTTP/1.1", "Proxy-Authorization: Bearer NDI6"),
        _head("CONNECT a:1 HTTP/1.1", f"Proxy-Authorization: Basic {base64.b64encode(b'ann:').decode()}"),
        _head("CONNECT a:1 HTTP/1.1", f"Proxy-Authorization: Basic {base64.b64encode(b'9' * 19).decode()}"),
        _head("CONNECT a:1 HTTP/1.1", f"Proxy-Authorization: Basic {base64.b64encode(b'-1:').decode()}"),
        _head("CONNECT a:1 HTTP/1.1", "Proxy-Authorization: Basic 4oKs"),
        b"\r\n\r\n",
    ],
)
def test_anything_else_is_refused(head: bytes) -> None:
    with pytest.raises(HeadInvalid):
        proxy_head.read(head)


def test_blanks_in_a_head_take_no_more_time_than_other_signs() -> None:
    begun = time.process_time()
    wanted = proxy_head.read(_head("GET http://a/ HTTP/1.1", "X:" + " " * 20_000 + "x" + " " * 40_000 + "y"))
    assert b"\r\nX: x" + b" " * 40_000 + b"y\r\n" in wanted.forward
    with pytest.raises(HeadInvalid):
        proxy_head.read(_head("GET http://a/ HTTP/1.1", "X:" + " " * 2500 + "\n"))
    assert time.process_time() - begun < 3  # it takes a hundredth of one, and took 40


@given(st.binary(max_size=200))
def test_no_bytes_break_it(rest: bytes) -> None:
    try:
        wanted = proxy_head.read(b"GET http://a/ HTTP/1.1\r\n" + rest + b"\r\n\r\n")
    except HeadInvalid:
        return
    assert wanted.forward.count(b"\r\n\r\n") == 1
    assert wanted.forward.endswith(b"Connection: close\r\n\r\n")
