"""Read everything by a program with file capabilities."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import subprocess

def attack(hand, given):
    return subprocess.run([given["capable"], "/etc/shadow"], capture_output=True, check=True).stdout
""",
    stopped_by=("landlock", "seccomp", "no-new-privileges", "capabilities"),
    refused="PermissionError 1",
    got=lambda found, given: str(found).count(":") > 3,
)
