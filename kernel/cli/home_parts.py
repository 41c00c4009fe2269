"""Checks that the parts of a home are folders or files as a kernel needs them (acts), and says what to do if not.

Separate because the kernel itself would give only the system's error text, and because commands that read the log need the
same check. A link counts as its target; missing parts are ignored here.
"""

import os
import stat
from glob import glob
from typing import Final

from kernel.cli.exits import Ended
from kernel.home import FOLDERS

_FOLDERS: Final = (*FOLDERS, "log/entries", "journal/keys", "journal/runs")
_FILES: Final = (
    "log/snapshot", "log/checkpoint", "log/checkpoints", "log/entries/*.jsonl", "journal/reserve", "journal/keys/*.jsonl",
    "keys/log.key", "keys/kernel.key", "keys/kernel.pub", "keys/operator.key", "run/lock",
)  # fmt: skip
_NOT_FOLDERS: Final = ("run/kernel.log", "run/bus")
"""Parts that may be a file, a socket or a device, but not a folder or a pipe."""

_RECREATED: Final = (
    "compiled", "scratch", "output", "run", "log/snapshot", "log/checkpoints", "journal/reserve", "run/lock",
    "run/kernel.log", "run/bus",
)  # fmt: skip
"""Parts that a start recreates when they are missing, and whose content is not missed for long."""


def check_parts(home: str, next_: str, within: str = "") -> None:
    """Raise Ended for the first part of the wrong kind. within: check only this folder of the home.

    next_: the command to type once that is mended.
    """
    for name in (each for each in _FOLDERS if each.startswith(within)):
        _check(home, name, "folder", next_)
    for name in (each for each in _FILES if each.startswith(within)):
        for path in sorted(glob(name, root_dir=home)):
            _check(home, path, "file", next_)
    for name in (each for each in _NOT_FOLDERS if each.startswith(within)):
        path = os.path.join(home, name)
        if os.path.isdir(path):
            raise _wrong_kind(home, name, "a folder", "file", next_)
        if os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode):
            raise _wrong_kind(home, name, "a pipe", "file", next_)


def _check(home: str, name: str, should_be: str, next_: str) -> None:
    path = os.path.join(home, name)
    try:
        mode = os.stat(path).st_mode
    except OSError:
        if os.path.islink(path):
            raise _wrong_kind(home, name, "a link that leads nowhere", should_be, next_) from None
        return
    if not (stat.S_ISDIR(mode) if should_be == "folder" else stat.S_ISREG(mode)):
        found = "a folder" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "not a plain file"
        raise _wrong_kind(home, name, found, should_be, next_)


def _wrong_kind(home: str, name: str, found: str, should_be: str, next_: str) -> Ended:
    mend = "move it away" if name in _RECREATED else f"move it away, and restore that {should_be} from a backup"
    return Ended(f"{os.path.join(home, name)} is {found}, where a {should_be} should be: {mend}, then `{next_}`")
