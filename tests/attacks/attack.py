"""The type of an attack: code of a hostile Hand, the refusal that it must meet, and the layers that stop it.

Each file of this folder with an ATTACK is one attack, named after the file; the first line of its docstring appears in
docs/attacks.md. Its code defines `attack(hand, given)`, async if it awaits, which runs inside a sealed task Hand of the
attacker's own (puppet.py says what is available there) and returns what it got; `given` is what the attacker may know about
the machine. A raised error is reported as `PermissionError 13`: its class and its errno or code.
"""

import platform
from collections.abc import Callable, Mapping
from typing import NamedTuple

from wire.codec import Value

Given = Mapping[str, str]


def _no_extra(_: Given) -> dict[str, str]:
    """The default: the code needs no more than every attack is given."""
    return {}


def _possible() -> str:
    """The default: the attack can succeed on any machine, once its layers are removed."""
    return ""


class Attack(NamedTuple):
    """One attack. code: see above. stopped_by: the layers that each stop it alone; without all of them it succeeds.

    refused: the exact refusal; the outcome of the run, if that is the refusal; "" if nothing is refused, yet nothing is
    achieved. as_user, on_aarch64: the refusal for an ordinary user's runs, and on aarch64, where it differs.
    stopped_for_user: the layers without which it succeeds for an ordinary user. got: whether the returned value shows
    success. extra: more values for the code's `given`. limits: of its Hand, where they differ from the usual ones. programs:
    whether that may execute programs, and so has memory of its own to share. needs: why it cannot succeed on this machine
    even without layers, "" if it can. source: the public test, report or known escape that it follows.
    """

    code: str
    stopped_by: tuple[str, ...]
    refused: str
    got: Callable[[Value, Given], bool]
    as_user: str | None = None
    on_aarch64: str | None = None
    stopped_for_user: tuple[str, ...] = ()
    extra: Callable[[Given], dict[str, str]] = _no_extra
    limits: Mapping[str, str | int] = {}
    programs: bool = False
    needs: Callable[[], str] = _possible
    source: str = ""

    def meets(self, *, as_user: bool = False) -> str:
        """The exact refusal on this machine."""
        if self.on_aarch64 is not None and platform.machine() == "aarch64":
            return self.on_aarch64
        return self.as_user if as_user and self.as_user is not None else self.refused
