"""What an attack is, for the suite: code of a hostile Hand, what it must meet, and the layers that stop it.

Each file of this folder that has an ATTACK is one, named by it. Its code defines `attack(hand, given)`, which runs inside
a sealed task Hand of the attacker's own and returns what it got; `given` is what he may know of the machine. Raised
errors come back as `PermissionError 13`: the class and its errno.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

Given = Mapping[str, str]


def nothing(_: Given) -> dict[str, str]:
    """An attack that need not be told anything."""
    return {}


class Attack(NamedTuple):
    """code: as above. stopped_by: the layers without any of which it succeeds. refused: what it meets, exactly, otherwise.

    got: whether what it returned shows that it succeeded. told: more that the code is given. is_isolated: the run's end
    itself is the refusal, so that nothing comes back: `refused` is then how the run ends.
    """

    code: str
    stopped_by: tuple[str, ...]
    refused: str
    got: Callable[[object, Given], bool]
    told: Callable[[Given], dict[str, str]] = nothing


PUPPET: Final = '''
from runtime import Hand

class Puppet(Hand):
    async def run(self, code: str, given: dict) -> dict[str, object]:
        """Do what the attacker wrote, in full control of this process."""
        scope: dict = {}
        try:
            exec(code, scope)
            return {"got": scope["attack"](self, given)}
        except BaseException as error:
            number = getattr(error, "errno", None)
            return {"refused": type(error).__name__ + (f" {number}" if number else ""), "text": str(error)[:200]}
'''
MANIFEST: Final = """
[hand]
name = "puppet"
version = "1.0.0"
description = "Whatever an attacker wrote."
entry = "main:Puppet"
kind = "task"
autonomy = "full"

[capabilities]
"neighbour.say" = ["*"]

[limits]
memory = "128MiB"
cpu = "5s"
wall = "20s"
processes = 16
open_files = 64
file_size = "4MiB"
disk = "64MiB"
calls_per_minute = 300
in_flight = 16
"""
