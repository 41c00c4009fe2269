"""The entry of an MCP server's Hand (acts on the interpreter): imports only the parts of `mcp` that a client needs."""

from runtime.mcp.lean import leaving_out

with leaving_out(
    "mcp.server", "mcp.client.session_group", "mcp.client.sse", "mcp.client.stdio", "mcp.client.streamable_http"
):
    from runtime.mcp.client import Server as Server
