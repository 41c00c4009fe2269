"""Read the command line of a process of this machine: the kernel's, which stands for /proc/1/cmdline."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open(f"/proc/{given['kernel']}/cmdline", "rb") as file:
        return file.read()
""",
    stopped_by=("landlock",),
    refused="PermissionError 13",
    stopped_for_user=("landlock",),
    got=lambda found, given: isinstance(found, bytes) and given["home"].encode() in found,
)
