"""Where the run of a server's Hand begins (acts on the interpreter): it takes of the package what a client needs."""

from runtime.mcp.lean import leaving_out

with leaving_out(
    "mcp.server", "mcp.client.session_group", "mcp.client.sse", "mcp.client.stdio", "mcp.client.streamable_http"
):
    from runtime.mcp.client import Server as Server
