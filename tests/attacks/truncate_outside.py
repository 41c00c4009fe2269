"""Cut off another's file: truncate needs no descriptor. To its present length."""

from tests.attacks.attack import Attack

ATTACK = Attack(
    code="""
import errno
import os

def attack(hand, given):
    try:
        os.truncate(given["mine"], os.stat(given["mine"]).st_size)
    except OSError as error:  # which wall is met first differs among versions of Linux
        raise PermissionError(errno.EACCES if error.errno == errno.EROFS else error.errno, str(error)) from None
    return "cut"
""",
    stopped_by=("landlock", "user-id", "mount-namespace"),
    refused="PermissionError 13",
    stopped_for_user=("landlock", "mount-namespace"),
    got=lambda found, given: found == "cut",
    source="Linux selftests, landlock/fs_test: truncate",
)
