"""Run a program from a folder that forbids execution, by the dynamic loader, which only reads it."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
import subprocess

def attack(hand, given):
    loaders = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
    loader = next(filter(os.path.exists, loaders))
    return subprocess.run([loader, "/bin/echo", "hello"], capture_output=True, check=True).stdout
""",
    stopped_by=("landlock", "seccomp"),
    refused="PermissionError 1",
    got=lambda found, given: found == b"hello\n",
)
