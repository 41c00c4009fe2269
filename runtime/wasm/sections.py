"""Checks the sizes of a module's sections (pure), for those whose content every start keeps in memory, most of it as objects.

A module's code and data cost a start little more than their size. Each type, import, function, global and export costs many
times its own: with a hundred thousand of them there would be no room for anything else, and the process would die.

Follows https://webassembly.github.io/spec/core/binary/modules.html.
"""

from typing import Final

from runtime.wasm.ends import Unfit

_KIB: Final = 1024

SECTIONS: Final = {
    1: ("types", 256 * _KIB),
    2: ("imports", 16 * _KIB),
    3: ("functions", 64 * _KIB),
    6: ("globals", 512 * _KIB),
    7: ("exports", 128 * _KIB),
}
"""By a section's number, what is in it, and the most bytes it may take."""

_HEAD: Final = 8  # the magic number and the version
_LONGEST: Final = 5  # bytes of a number


def check(binary: bytes) -> None:
    """Raises Unfit for a section that is too large, naming it. What is malformed is left for wasmtime to tell."""
    at = _HEAD
    while at < len(binary):
        number = binary[at]
        size, at = _unsigned(binary, at + 1)
        what, most = SECTIONS.get(number, ("", size))
        if size > most:
            raise Unfit(f"its {what} take {size} bytes; {most} are the most")
        at += size


def _unsigned(binary: bytes, at: int) -> tuple[int, int]:
    """The number in LEB128 that begins there, and where it ends: at the end of everything if it is none of 32 bits."""
    number = 0
    for place, byte in enumerate(binary[at : at + _LONGEST]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    return 0, len(binary)
