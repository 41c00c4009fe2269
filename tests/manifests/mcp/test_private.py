"""Where a login may go: https, and this machine itself; and what in a URL is a key."""

import pytest

from manifests.mcp.private import is_private, key_in_query


@pytest.mark.parametrize(
    "address",
    [
        "https://mcp.example/a",
        "HTTPS://mcp.example",
        "http://localhost:1/a",
        "http://127.0.0.1",
        "http://[::1]:8080/mcp",
    ],
)
def test_nobody_else_listens_there(address: str) -> None:
    assert is_private(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://mcp.example/a", "http://localhost.evil.example/", "http://localhost@evil.example/", "http://127.0.0.1.nip.io",
        "javascript:alert(1)", "ftp://localhost/", "//localhost/", "localhost", "",
    ],
)  # fmt: skip
def test_others_may_listen_there(address: str) -> None:
    assert not is_private(address)


@pytest.mark.parametrize(
    "name",
    [
        "key", "api_key", "tavilyApiKey", "access%5Ftoken", "TOKEN", "client-secret", "sig", "APIKEY", "hapikey",
        "X-Amz-Signature",
    ],
)  # fmt: skip
def test_a_key_in_a_query_is_found_by_its_name(name: str) -> None:
    assert (
        key_in_query(f"https://mcp.example/mcp?profile=a&{name}=very-secret#b").lower()
        == name.replace("%5F", "_").lower()
    )


@pytest.mark.parametrize(
    "query",
    ["", "?", "?read_only=true&project_ref=key", "?author=token&keywords=secret", "#key=a", "?monkey=1&WHISKEY=2"],
)
def test_what_only_looks_like_one_is_none(query: str) -> None:
    assert key_in_query(f"https://mcp.example/token{query}") == ""
