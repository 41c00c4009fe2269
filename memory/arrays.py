"""numpy, imported with one thread for its linear algebra (acts, at import).

Whatever here computes with vectors imports it from this module, and is itself imported only where vectors are used: a
memory that is asked by words alone never loads it. One thread, because the others would count against the Hand's processes,
and because a recall in one thread is not slowed by an embedding in another that takes every core.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # after the line above, which it reads once
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bits = NDArray[np.uint64]

__all__ = ["Bits", "Floats", "NDArray", "np"]
