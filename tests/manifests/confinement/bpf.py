"""What the kernel would make of a filter (pure): an interpreter of the classic BPF that filters are written in.

As strict as the kernel's own check where our programs could go wrong: an unknown operation, a jump or a load out of
bounds, or an end without a return is an error, not an answer.
"""

import struct
from functools import cache
from typing import Final

from manifests.confinement.program import AND, AT_LEAST, EQUAL, FORMAT, JUMP, LOAD, RETURN

_CALL: Final = struct.Struct("<iIQ6Q")  # struct seccomp_data
_WORD: Final = struct.Struct("<I")


class ProgramInvalid(Exception):
    """The kernel would not have taken this program."""


def evaluate(program: bytes, number: int, arch: int, args: tuple[int, ...]) -> tuple[int, int]:
    """What the program returns for a call, and after how many instructions. number: as the kernel sees it, 32 bits."""
    call = _CALL.pack(number - (1 << 32) if number >= 1 << 31 else number, arch, 0, *args)
    code = _instructions(program)
    accumulator = at = steps = 0
    while at < len(code):
        operation, when, otherwise, value = code[at]
        at, steps = at + 1, steps + 1
        match operation:
            case _ if operation == LOAD:
                if value % 4 or value + 4 > len(call):
                    raise ProgramInvalid(f"load from {value}")
                (accumulator,) = _WORD.unpack_from(call, value)
            case _ if operation == AND:
                accumulator &= value
            case _ if operation == EQUAL:
                at += when if accumulator == value else otherwise
            case _ if operation == AT_LEAST:
                at += when if accumulator >= value else otherwise
            case _ if operation == JUMP:
                at += value
            case _ if operation == RETURN:
                return value, steps
            case _:
                raise ProgramInvalid(f"operation {operation:#x}")
    raise ProgramInvalid("it ends without a return")


@cache
def _instructions(program: bytes) -> tuple[tuple[int, ...], ...]:
    """A program taken apart, once for the millions of calls that are put to it."""
    return tuple(FORMAT.iter_unpack(program))
