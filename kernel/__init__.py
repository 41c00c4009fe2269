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
"""How a fresh interpreter of the kernel's begins: given with -c, then the search path, the module whose main() to call, and
what to call it with."""

NAMED_STARTER: Final = (
    "import sys; names = [*map(sys.intern, open(sys.argv.pop(1), errors='replace').read().split())];" + STARTER
)
"""The same, with a file of names first, which Python then interns side by side: see runtime/memory_layout.py."""
