"""Read the environment of a process of this machine: the kernel's, which stands for /proc/1/environ."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
def attack(hand, given):
    with open(f"/proc/{given['kernel']}/environ", "rb") as file:
        return file.read()
""",
    stopped_by=("landlock", "user-id", "capabilities"),
    refused="PermissionError 13",
    got=lambda found, given: isinstance(found, bytes) and b"MANIPLE_SECRET_KERNEL_LAYERS=" in found,
)
