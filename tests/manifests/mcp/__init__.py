"""Tests of what the tools of MCP servers become."""
