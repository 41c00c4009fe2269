"""Servers of the Model Context Protocol as Hands (acts): each is its own process, confined as every Hand is.

`mcp`, the protocol's official package, is imported by this package alone, and so only by the run of such a Hand: it takes
half a second and some forty megabytes (docs/adr/0044-mcp.md), so hand.py, where such a run begins, takes the half of it that
a client needs (lean.py). client.py is the Hand; stdio.py and elsewhere.py carry messages to a program and to a server at a
URL; results.py makes values of what comes back.
"""
