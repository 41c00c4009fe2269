"""What a module could have its compiler answer that it had taken over (acts): whatever the arguments say.

A program for kernel/process/compiler.py to confine, in the place of runtime/wasm/compiling.py. The name of the module says
which lie it tells: a key that leads elsewhere, one that is no text, bytes without end, or words that a terminal obeys.
"""

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

ELSEWHERE: Final = "../keys/operator.key"
_PIECE: Final = b"x" * (1 << 20)


def prepare(arguments: Sequence[str]) -> Callable[[], None]:
    """What tells the lie that the module is named by, when it is confined."""
    name, *_ = arguments
    return partial(_lie, name.partition(".")[0])


def _lie(name: str) -> None:
    match name:
        case "elsewhere":
            os.write(1, ELSEWHERE.encode() + b"\nmine")
        case "absolute":
            os.write(1, b"/etc/maniple-was-here\nmine")
        case "bytes":
            os.write(1, b"\xff" * 64 + b"\nmine")
        case "another":
            os.write(1, b"a" * 64 + b"\nmine")
        case "endless" | "complaint":
            while True:
                os.write(1 if name == "endless" else 2, _PIECE)
        case "silent":
            sys.stdin.buffer.close()
            while True:
                pass
        case _:
            os.write(2, b"\x1b]0;owned\x07\nsaid\xff")
            os._exit(1)
    os._exit(0)
