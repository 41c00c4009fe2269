"""The Hand that executes an attacker's code, which has full control of its process: its HAND.toml and main.py.

Besides its own imports, attack code has `syscall(name, *arguments)`, which makes a system call directly and raises OSError;
and `past(number, …)`, for a call that would harm this machine if it succeeded. Its arguments are invalid, so the system
itself refuses it with the errno `number`: meeting that one shows that no layer refused the call before.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from tests.living import Source

LACKS: Final = ", without "
"""In a puppet's description: after it stand the layers that its runs lack under a weakened kernel."""

LIMITS: Final[Mapping[str, str | int]] = {
    "memory": "128MiB", "cpu": "1s", "wall": "20s", "processes": 16, "open_files": 64, "file_size": "4MiB", "disk": "64MiB",
    "calls_per_minute": 300, "in_flight": 16,
}  # fmt: skip

MAIN: Final = '''
import ctypes
import inspect
import os

from manifests.confinement.syscalls import ARCHITECTURES
from runtime import Hand

NUMBERS = ARCHITECTURES[os.uname().machine].numbers
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def syscall(name, *arguments):
    number = NUMBERS[name] if isinstance(name, str) else name
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(one) if isinstance(one, int) else one for one in arguments))
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def past(expected, name, *arguments):
    try:
        return syscall(name, *arguments)
    except OSError as error:
        if error.errno == expected:
            return "past"
        raise


class Puppet(Hand):
    async def run(self, code: str, given: dict) -> dict[str, object]:
        """Do what the attacker wrote, in full control of this process."""
        scope: dict = {"syscall": syscall, "past": past, "libc": libc}
        try:
            exec(code, scope)
            found = scope["attack"](self, given)
            return {"got": await found if inspect.isawaitable(found) else found}
        except BaseException as error:
            number = getattr(error, "errno", None) or getattr(error, "code", None)
            return {"refused": type(error).__name__ + (f" {number}" if number else ""), "text": str(error)[:200]}
'''

_TOML: Final = """
[hand]
name = "{name}"
version = "1.0.0"
description = "Whatever an attacker wrote{lacks}"
entry = "main:Puppet"
kind = "task"
autonomy = "full"

[capabilities]
"neighbour.say" = ["*"]
"neighbour.hold" = ["*"]
"neighbour.signals" = ["*"]
"neighbour.read" = ["mine/**"]
"kernel.spawn" = ["bystander"]
"kernel.subscribe" = ["neighbour.*"]

[events]
subscribes = ["neighbour.*"]

[limits]
"""


def puppet(name: str, layers: Iterable[str], limits: Mapping[str, str | int], *, programs: bool = False) -> Source:
    """Make a puppet of this name, whose runs lack these layers under a weakened kernel. programs: it may execute them."""
    lacks = LACKS + " ".join(sorted(layers)) if layers else ""
    rows = [f"{key} = {value!r}".replace("'", '"') for key, value in {**LIMITS, **limits}.items()]
    rows += ["[confinement]", "programs = true"] if programs else []
    return Source(_TOML.format(name=name, lacks=lacks) + "\n".join(rows) + "\n", MAIN)
