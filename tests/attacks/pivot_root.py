"""Make another mount the root (pivot_root), in a mount namespace made for the purpose."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import os

def attack(hand, given):
    told, tell = os.pipe()
    if os.fork() == 0:
        try:
            try:
                syscall("unshare", 0x2_0000)
            except OSError:
                pass  # then in the one that it has
            os.chdir(hand.scratch)
            syscall("pivot_root", b".", b".")
            os.write(tell, b"turned")
        except OSError as error:
            os.write(tell, bytes([error.errno]))
        os._exit(0)
    os.wait()
    heard = os.read(told, 16)
    if len(heard) == 1:
        raise OSError(heard[0], os.strerror(heard[0]))
    return heard
""",
    stopped_by=("seccomp", "landlock", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: found == b"turned",
    source="Linux selftests, landlock/fs_test: topology_changes_with_net_and_fs; LTP, pivot_root01",
)
