"""Suspends garbage collection while something large is decoded (acts).

Python's collector scans all objects of a process after each few hundred new lists and tables. While a body with a million
of them is decoded, that is most of the time, none is garbage, and all other callers of the process wait.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def undisturbed() -> Iterator[None]:
    """Suspends garbage collection in the block, in all threads. For short work that does not wait."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
