"""Run a program of this machine."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import subprocess

def attack(hand, given):
    return subprocess.run(["/bin/echo", "hello"], capture_output=True, check=True).stdout
""",
    stopped_by=("landlock", "seccomp"),
    refused="PermissionError 1",
    stopped_for_user=("landlock", "seccomp"),
    got=lambda found, given: found == b"hello\n",
    source="Linux selftests, landlock/fs_test: execute",
)
