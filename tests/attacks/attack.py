"""What an attack is, for the suite: code of a hostile Hand, what it must meet, and the layers that stop it.

Each file of this folder that has an ATTACK is one, named by it; its docstring's first line says in docs/attacks.md what it
tries. Its code defines `attack(hand, given)`, async where it awaits, which runs inside a sealed task Hand of the
attacker's own (puppet.py says what it finds there) and returns what it got; `given` is what he may know of the machine.
Raised errors come back as `PermissionError 13`: the class and its errno, or its code.
"""

import platform
from collections.abc import Callable, Mapping
from typing import NamedTuple

from wire.codec import Value

Given = Mapping[str, str]


def _nothing(_: Given) -> dict[str, str]:
    """An attack that need not be told anything more."""
    return {}


def _always() -> str:
    """An attack that can succeed on any machine that lacks the layers."""
    return ""


class Attack(NamedTuple):
    """code: as above. stopped_by: the layers each of which alone stops it, and without which it succeeds.

    refused: what it meets, exactly; how the run ends, when its end is the refusal; "" when the code is refused nothing
    and yet comes to nothing. as_user: the same for runs of an ordinary user, and on_aarch64: on such a machine, where that
    is another; stopped_for_user: layers without which it succeeds for him. got: whether what it returned shows that it
    succeeded. told: more that the code is given. limits: of its Hand, where they are not the usual ones. needs: why it
    cannot succeed on this machine whatever layers are missing, "" when it can. source: the public test, report or known
    escape that it follows.
    """

    code: str
    stopped_by: tuple[str, ...]
    refused: str
    got: Callable[[Value, Given], bool]
    as_user: str | None = None
    on_aarch64: str | None = None
    stopped_for_user: tuple[str, ...] = ()
    told: Callable[[Given], dict[str, str]] = _nothing
    limits: Mapping[str, str | int] = {}
    needs: Callable[[], str] = _always
    source: str = ""

    def meets(self, *, as_user: bool = False) -> str:
        """What it meets on this machine, exactly."""
        if self.on_aarch64 is not None and platform.machine() == "aarch64":
            return self.on_aarch64
        return self.as_user if as_user and self.as_user is not None else self.refused
