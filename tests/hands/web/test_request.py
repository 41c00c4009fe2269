"""The head of a request, and what is read of a reply's: decided without a connection."""

import h11
import pytest

from tests.hands.doubles import hand_module

hop = hand_module("web", "http_hop")
url_parts = hand_module("web", "url_parts")
WebFailed = hand_module("web", "web_failure").WebFailed

URL = url_parts.read("https://a.example:8443/x?y")
OURS = {"user-agent": "Maniple/1", "accept": "*/*", "accept-encoding": "gzip, deflate"}


def test_a_request_has_our_headers_where_its_caller_gave_none_and_each_once() -> None:
    always = [("host", "a.example:8443"), ("connection", "close")]
    assert sorted(hop.request_headers(URL, {})) == sorted([*always, *OURS.items()])
    mine = {"User-Agent": "me", "ACCEPT": "text/html", "x-own": "1"}
    found = sorted(hop.request_headers(URL, mine))
    assert found == sorted(
        [*always, *{**OURS, "user-agent": "me", "accept": "text/html", "x-own": "1"}.items()]
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "Host", "connection", "Content-Length", "TRANSFER-ENCODING", "te", "Trailer", "upgrade", "Expect", "Keep-Alive",
        "Proxy-Authorization", "proxy-connection",
    ],
)  # fmt: skip
def test_no_caller_says_how_bytes_are_read_or_whom_they_are_for(name: str) -> None:
    with pytest.raises(WebFailed, match="set by this Hand and by nobody else"):
        hop.request_headers(URL, {name: "x"})


def test_a_callers_headers_are_texts_of_bounded_size() -> None:
    with pytest.raises(WebFailed, match="is not a text"):
        hop.request_headers(URL, {"x-own": 7})
    most = "x" * (hop.GIVEN_MAX - len("x-own") - 4)
    assert ("x-own", most) in hop.request_headers(URL, {"x-own": most})
    with pytest.raises(WebFailed, match="larger than"):
        hop.request_headers(URL, {"x-own": f"{most}x"})


@pytest.mark.parametrize(
    ("method", "headers"), [("POST", {}), ("get", {}), ("GET", {"x": "a\r\nb: c"}), ("GET", {"a b": ""})]
)
def test_what_is_no_request_is_refused(method: str, headers: dict[str, object]) -> None:
    with pytest.raises(WebFailed) as failed:
        hop.request(URL, method, headers)
    assert failed.value.code == "arguments"


def test_headers_that_stand_twice_are_joined_and_cookies_by_lines() -> None:
    pairs = [("A", "1"), ("Set-Cookie", "a=1, b"), ("a", "2"), ("set-cookie", "c=2")]
    reply = h11.Response(status_code=200, headers=pairs)
    assert hop.headers_of(reply) == {"a": "1, 2", "set-cookie": "a=1, b\nc=2"}


def test_a_url_is_cut_into_what_the_kernel_checked() -> None:
    assert (URL.scheme, URL.host, URL.port, URL.authority, URL.target) == (
        "https", "a.example", 8443, "a.example:8443", "/x?y",
    )  # fmt: skip
    assert [url_parts.read(f"{scheme}://a/").port for scheme in ("http", "https")] == [80, 443]
    assert url_parts.read("http://a:65535/").port == 65535
    for wrong in (
        "http://a:65536/",
        "http://a/#x",
        "http://a",
        "http://a:080/",
        "http://A/",
        "http://u@a/",
        "ftp://a/",
    ):
        with pytest.raises(WebFailed):
            url_parts.read(wrong)


@pytest.mark.parametrize(
    ("location", "absolute"),
    [
        (" /there#part ", "https://a.example:8443/there"),
        ("//b.example/x", "https://b.example/x"),
        ("?z", "https://a.example:8443/x?z"),
        ("http://[x", ""),
        ("/" + "x" * 9_000, "https://a.example:8443/" + "x" * 8_191),
    ],
    ids=range(5),
)
def test_where_a_redirect_leads_is_told_whole_and_bounded(location: str, absolute: str) -> None:
    assert url_parts.absolute("https://a.example:8443/x?y", location) == absolute
