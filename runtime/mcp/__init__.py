"""Servers of the Model Context Protocol as Hands, and doors for its clients (acts), each in a confined process of its own.

`mcp`, the protocol's official package, is imported by this package alone, and so only in the run of such a Hand: it takes
half a second and some forty megabytes (docs/adr/0044-mcp.md). So hand.py, where such a run begins, imports only the half that
a client needs (lean.py). client.py is the Hand; stdio.py and elsewhere.py carry messages to a program and to a server at a
URL; results.py makes values of what comes back.
"""
