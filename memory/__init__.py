"""The memory substrate, a library that exactly one Hand opens: keys, fragments and their recall, a graph, sessions.

`store.py` is one SQLite file, which belongs to one owner. Its content is divided into parts, each a module with a `.sql`
file and a migration. The library imports `manifests` and `wire`, never `kernel` or `runtime`, and knows no bus.
"""
