"""What a kernel needs of a home to be a folder, or a file (acts: it looks): where it is not, what to do is told in words.

Separate because the kernel's own words are the system's, and because all that read the log need the same. A link counts as
what it leads to; what is not there is no matter here.
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
_ANYTHING_ELSE: Final = ("run/kernel.log", "run/bus")
"""What may be anything but a folder, or a pipe that nobody reads: a socket, or a device."""

_MADE_ANEW: Final = (
    "compiled", "scratch", "output", "run", "log/snapshot", "log/checkpoints", "journal/reserve", "run/lock",
    "run/kernel.log", "run/bus",
)  # fmt: skip
"""What a start makes when it is not there, and which held nothing that is missed for long."""


def need(home: str, next_: str, within: str = "") -> None:
    """Raises Ended for the first that is not as it should be. within: only what lies in this folder of the home.

    next_: the command that is to be typed when that is mended.
    """
    for name in (each for each in _FOLDERS if each.startswith(within)):
        _check(home, name, "folder", next_)
    for name in (each for each in _FILES if each.startswith(within)):
        for path in sorted(glob(name, root_dir=home)):
            _check(home, path, "file", next_)
    for name in (each for each in _ANYTHING_ELSE if each.startswith(within)):
        path = os.path.join(home, name)
        if os.path.isdir(path):
            raise _wrong(home, name, "a folder", "file", next_)
        if os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode):
            raise _wrong(home, name, "a pipe", "file", next_)


def _check(home: str, name: str, should_be: str, next_: str) -> None:
    path = os.path.join(home, name)
    try:
        mode = os.stat(path).st_mode
    except OSError:
        if os.path.islink(path):
            raise _wrong(home, name, "a link that leads nowhere", should_be, next_) from None
        return
    if not (stat.S_ISDIR(mode) if should_be == "folder" else stat.S_ISREG(mode)):
        found = "a folder" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "not a plain file"
        raise _wrong(home, name, found, should_be, next_)


def _wrong(home: str, name: str, found: str, should_be: str, next_: str) -> Ended:
    mend = "move it away" if name in _MADE_ANEW else f"move it away, and restore that {should_be} from a backup"
    return Ended(f"{os.path.join(home, name)} is {found}, where a {should_be} should be: {mend}, then `{next_}`")
