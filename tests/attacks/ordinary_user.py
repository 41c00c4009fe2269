"""The attacks on a kernel of somebody who is not root (acts); run by test_ordinary_user.py as a process of that user.

    python -m tests.attacks.ordinary_user FOLDER

FOLDER is empty and the user's own. Prints, as JSON, what each attack met: with every layer that this user can have, and
without those that stop it for him.
"""

import json
import os
import sys
from pathlib import Path

from tests.attacks import prey as machine
from tests.attacks.all import ATTACKS
from tests.attacks.arena import Arena, opened
from tests.attacks.attack import Attack
from tests.attacks.weakened import OF_THE_TEMPLATE


def _met(attack: Attack, arena: Arena, layers: frozenset[str] = frozenset()) -> dict[str, object]:
    met = arena.suffer(attack, layers)
    succeeded = "got" in met and attack.got(met["got"], arena.given())
    return {"succeeded": succeeded, "refused": met.get("refused", ""), "text": str(met.get("text", ""))}


def main(folder: Path) -> None:
    """Let the user suffer them all."""
    assert os.getuid() == os.geteuid() != 0
    os.environ["MANIPLE_SECRET_OF_THE_KERNEL"] = "what only the kernel knows"
    told: dict[str, dict[str, dict[str, object]]] = {"walled": {}, "weakened": {}}
    with machine.laid_out() as prey:
        with opened(folder / "walled", prey) as arena:
            for name, attack in ATTACKS.items():
                told["walled"][name] = _met(attack, arena)
                arena.check_unharmed()
                arena.check_clean()
        for place, taken in (("weakened", frozenset[str]()), ("crowded", frozenset({"pid-namespace"}))):
            with opened(folder / place, prey, taken | {"watch"}) as arena:  # it looks when somebody has time for it
                for name, attack in ATTACKS.items():
                    layers = frozenset(attack.stopped_for_user)
                    if layers and layers & OF_THE_TEMPLATE == taken:
                        told["weakened"][name] = _met(attack, arena, layers - taken - {"watch"})
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
