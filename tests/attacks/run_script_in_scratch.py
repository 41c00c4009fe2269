"""Run a program that it wrote into its scratch folder."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import subprocess

def attack(hand, given):
    script = hand.scratch / "script"
    script.write_text("#!/bin/sh\\necho hello\\n")
    script.chmod(0o755)
    return subprocess.run([script], capture_output=True, check=True).stdout
""",
    stopped_by=("landlock", "seccomp", "mount-namespace"),
    refused="PermissionError 1",
    stopped_for_user=("landlock", "seccomp", "mount-namespace"),
    got=lambda found, given: found == b"hello\n",
)
