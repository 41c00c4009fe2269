"""Put a module into the interpreter's own folder, where every Python of this machine finds it."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    path = os.path.join(os.path.dirname(os.__file__), "maniple_attack_" + hand.run_id.replace("-", "_") + ".py")
    with open(path, "w") as file:
        file.write("")
    os.unlink(path)
    return "written"
""",
    stopped_by=("landlock", "user-id", "mount-namespace"),
    refused="OSError 30",
    got=lambda found, given: found == "written",
    source="CVE-2019-5736, runc: overwriting the program that runs it",
)
