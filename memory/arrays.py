"""numpy, imported with one thread for its linear algebra (acts, at import).

All modules of memory import numpy from here. One thread, because further ones would count against the Hand's limit on
processes, and because an embedding on every core would slow recalls.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # after the line above, which it reads once
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

__all__ = ["Floats", "NDArray", "Numbers", "np", "numbers"]


def numbers(told: object) -> Numbers:
    """Parse numbers that SQLite's group_concat joined, which is faster than a row for each."""
    return np.fromstring(str(told), np.int64, sep=",") if told is not None else np.empty(0, np.int64)
