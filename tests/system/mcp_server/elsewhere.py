"""A server over HTTP, for tests, on loopback. Arguments: its port; for TLS also its certificate, and the key of that."""

import sys

import uvicorn
from mcp.server.mcpserver import Context, MCPServer

port, *tls = sys.argv[1:]
server = MCPServer("far-shop", version="2.0.0")


@server.tool()
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
async def authorised(ctx: Context) -> str:
    """Who asks."""
    headers = ctx.headers or {}
    return headers.get("authorization", "nobody")


@server.tool()
def large(size: int) -> str:
    """Say a lot."""
    return "x" * size


certificate, key = tls or (None, None)
uvicorn.run(
    server.streamable_http_app(),
    host="127.0.0.1",
    port=int(port),
    log_level="warning",
    ssl_certfile=certificate,
    ssl_keyfile=key,
)
