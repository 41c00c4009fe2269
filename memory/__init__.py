"""The memory substrate, a library that exactly one Hand opens: keys, fragments and their recall, a graph, sessions.

`store.py` is one SQLite file, which belongs to one owner; what lies in it are parts, each a module beside its `.sql` file
and its migration. Its law: it imports `manifests` and `wire`, never `kernel` or `runtime`, and knows no bus.
"""
