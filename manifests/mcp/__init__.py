"""MCP servers as Hands, and doors for MCP clients (pure).

tools.py reads what a server offers, and detects changes; words.py maps its tools to methods, params and types; folder.py
makes the Hand's files. Here and not in runtime/, since the command line writes the folder and the run reads it.
"""
