"""The package is imported by the run of a server's Hand and by no other process, and there without what it has no use for."""

import subprocess
import sys

import pytest

from tests.spread import spread

SERVERS = ("mcp.server", "starlette", "uvicorn", "sse_starlette")
HTTP = ("httpx2", "httpcore2", "mcp.client.streamable_http")
LOGIN = ("mcp.client.auth", "cryptography", "jwt")


def _imported(code: str, *names: str) -> list[str]:
    """Which of these modules are there in a process after this code."""
    told = f"import sys; print(*[name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{told}"], capture_output=True, check=True)
    return done.stdout.decode().split()


def test_no_process_but_a_servers_own_imports_the_package() -> None:
    others = (
        "import runtime.preload, kernel.main, kernel.cli.mcp_add, kernel.process.template\nruntime.preload.preload('')"
    )
    assert _imported(others, "mcp", "pydantic", "anyio") == []


@pytest.mark.wide
@pytest.mark.parametrize(
    ("code", "needed"),
    spread(
        [
            ("from runtime.mcp.hand import Server", ()),
            ("from runtime.mcp.hand import Server\nimport runtime.mcp.elsewhere", HTTP),
            ("from runtime.mcp.hand import Server\nimport runtime.mcp.elsewhere, runtime.mcp.login", HTTP + LOGIN),
        ],
        2,
    ),
    ids=["program", "elsewhere", "login"],
)
def test_a_client_imports_what_its_kind_of_server_needs(code: str, needed: tuple[str, ...]) -> None:
    assert _imported(code, "mcp.client", *SERVERS, *HTTP, *LOGIN) == ["mcp.client", *needed]


@pytest.mark.wide
def test_what_was_left_out_can_be_imported_and_used_afterwards() -> None:
    code = """
from runtime.mcp.hand import Server
from runtime.mcp.lean import leaving_out
import mcp, sys
assert sys.meta_path == before, "nothing of it is left"
try:
    mcp.stdio_server()
    raise SystemExit("it is there")
except RuntimeError as error:
    assert "was left out" in str(error)
from mcp import server
from mcp.client.streamable_http import streamable_http_client
from mcp.server.lowlevel import Server
from runtime.mcp.door import Door
assert server.Server is Server and Server("it").name == "it"
with leaving_out("mcp.server"):
    from mcp.server.stdio import stdio_server
assert callable(stdio_server) and mcp.server is server, "what is there stays"
"""
    assert _imported(f"import sys; before = [*sys.meta_path]\n{code}", *SERVERS) == [*SERVERS]
