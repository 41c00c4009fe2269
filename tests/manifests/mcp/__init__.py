"""Tests of what an MCP server's tools become."""
