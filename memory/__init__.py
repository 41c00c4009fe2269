"""The memory substrate, a library that exactly one Hand opens: its stores and its recall will live here.

It is empty until that Hand is built. Its law: it imports `manifests` and `wire`, never `kernel` or `runtime`.
"""
