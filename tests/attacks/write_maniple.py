"""Put a module into Maniple's own code, which every later run would import."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
import wire

def attack(hand, given):
    path = os.path.join(os.path.dirname(wire.__file__), "maniple_attack_" + hand.run_id.replace("-", "_") + ".pyc")
    with open(path, "w") as file:
        file.write("")
    os.unlink(path)
    return "written"
""",
    stopped_by=("landlock", "user-id", "mount-namespace"),
    refused="OSError 30",
    got=lambda found, given: found == "written",
)
