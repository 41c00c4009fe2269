"""Hide a file from the limit of disk: open only in a thread with a table of descriptors of its own (CLOSE_RANGE_UNSHARE)."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os
from concurrent.futures import ThreadPoolExecutor

def hide():
    syscall("close_range", 1 << 20, 1 << 20, 2)
    file = os.open("hidden", os.O_RDWR | os.O_CREAT)
    os.unlink("hidden")
    return file

def attack(hand, given):
    with ThreadPoolExecutor(1) as threads:
        file = threads.submit(hide).result()
        try:
            os.fstat(file)
        except OSError:
            return f"hidden, with {threads.submit(os.write, file, b'x').result()} byte"
""",
    stopped_by=("seccomp",),
    refused="PermissionError 1",
    stopped_for_user=("seccomp",),
    got=lambda found, given: found == "hidden, with 1 byte",
)
