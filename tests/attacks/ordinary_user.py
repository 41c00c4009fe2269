"""Runs the attacks on an ordinary user's kernel (acts); test_ordinary_user.py starts it as a process of that user.

    python -m tests.attacks.ordinary_user FOLDER

FOLDER is empty and belongs to the user. Prints as JSON the result of each attack: with every layer that this user can have,
and without those that stop it for an ordinary user.
"""

import json
import os
import sys
from pathlib import Path

from tests.attacks import prey as machine
from tests.attacks.all import ATTACKS
from tests.attacks.arena import Arena, open_arena
from tests.attacks.attack import Attack
from tests.attacks.weakened import TEMPLATE_LAYERS


def _outcome(attack: Attack, arena: Arena, layers: frozenset[str] = frozenset()) -> dict[str, object]:
    met = arena.run_attack(attack, layers)
    succeeded = "got" in met and attack.got(met["got"], arena.given())
    return {"succeeded": succeeded, "refused": met.get("refused", ""), "text": str(met.get("text", ""))}


def main(folder: Path) -> None:
    """Run all attacks and print the results."""
    assert os.getuid() == os.geteuid() != 0
    os.environ["MANIPLE_SECRET_KERNEL_LAYERS"] = "what only the kernel knows"
    outcomes: dict[str, dict[str, dict[str, object]]] = {"walled": {}, "weakened": {}}
    with machine.set_up_prey() as prey:
        with open_arena(folder / "walled", prey) as arena:
            for name, attack in ATTACKS.items():
                outcomes["walled"][name] = _outcome(attack, arena)
                arena.check_unharmed()
                arena.check_clean()
        for place, taken in (("weakened", frozenset[str]()), ("crowded", frozenset({"pid-namespace"}))):
            with open_arena(folder / place, prey, taken | {"watch"}) as arena:  # its timing is not predictable
                for name, attack in ATTACKS.items():
                    layers = frozenset(attack.stopped_for_user)
                    if layers and layers & TEMPLATE_LAYERS == taken:
                        outcomes["weakened"][name] = _outcome(attack, arena, layers - taken - {"watch"})
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
