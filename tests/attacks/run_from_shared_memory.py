"""Run a program that it wrote into /dev/shm, or map it as code: a run with programs may write there."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import mmap
import os
import shutil
import subprocess

def attack(hand, given):
    path = "/dev/shm/maniple-attack-" + hand.run_id
    shutil.copyfile("/bin/true", path)
    try:
        os.chmod(path, 0o755)
        try:
            with open(path, "rb") as file:
                return len(mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC))
        except PermissionError:
            return subprocess.run([path], check=True).returncode
    finally:
        os.unlink(path)
""",
    stopped_by=("landlock", "mount-namespace"),
    refused="PermissionError 13",
    stopped_for_user=("landlock", "mount-namespace"),
    programs=True,
    got=lambda found, given: isinstance(found, int),
)
