"""Where a login may go: https, and this machine itself."""

import pytest

from manifests.mcp.private import is_private


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
