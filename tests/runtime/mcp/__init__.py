"""Tests of the Hand of an MCP server, without a kernel."""
