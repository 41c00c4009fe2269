"""numpy, imported with one thread for its linear algebra (acts, at import).

Whatever here computes with arrays imports it from this module. One thread, because others would count against the Hand's
processes, and because a recall is not to be slowed by an embedding that takes every core.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # after the line above, which it reads once
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

__all__ = ["Floats", "NDArray", "Numbers", "np", "numbers"]


def numbers(told: object) -> Numbers:
    """What SQLite's group_concat made of numbers, which is quicker than a row for each."""
    return np.fromstring(str(told), np.int64, sep=",") if told is not None else np.empty(0, np.int64)
