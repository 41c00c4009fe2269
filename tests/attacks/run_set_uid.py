"""Become root by a set-uid program."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import subprocess

def attack(hand, given):
    return subprocess.run([given["set_uid"], "-u"], capture_output=True, check=True).stdout
""",
    stopped_by=("landlock", "seccomp", "no-new-privileges"),
    refused="PermissionError 1",
    got=lambda found, given: found == b"0\n",
    source="Linux selftests, prctl and seccomp: no_new_privs",
)
