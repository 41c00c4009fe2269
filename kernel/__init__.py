"""The kernel: one loop that starts Hands as processes, carries and checks each call between them, and writes the log."""

import sys
from typing import Final

if "typing_extensions" not in sys.modules:  # msgspec takes it if it is there, and does not need it: see docs/adr/0022
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    import msgspec as msgspec

    del sys.modules["typing_extensions"]

STARTER: Final = (
    "import sys, importlib; sys.path[:0] = sys.argv.pop(1).split(':');"
    "importlib.import_module(sys.argv[1]).main(sys.argv[2:])"
)
"""Code for `python -c`, by which the kernel starts each process of its own. Arguments: the search path (joined by `:`), the
module whose main() to call, and that call's arguments."""

NAMED_STARTER: Final = (
    "import sys; names = [*map(sys.intern, open(sys.argv.pop(1), errors='replace').read().split())];" + STARTER
)
"""STARTER with one more argument in front: a file of names, which Python interns side by side (runtime/memory_layout.py)."""
