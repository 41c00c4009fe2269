"""What is where a home should be (acts: it looks), and the sentence for when that is none."""

import os
import shlex
from typing import Final

from kernel.cli.exits import Ended

_PARTS: Final = ("keys", "log")
"""What only a home has, besides its home.toml."""


def is_home(path: str) -> bool:
    """Whether home.toml is there, which is written last: the rest was there once."""
    return os.path.isfile(os.path.join(path, "home.toml"))


def is_broken(path: str) -> bool:
    """Whether it was a home, and has lost its home.toml."""
    return not is_home(path) and all(os.path.isdir(os.path.join(path, part)) for part in _PARTS)


def look(folder: str) -> str:
    """What to type where somebody may not use a folder."""
    return f"`ls -ld {shlex.quote(folder)}` shows who may use it"


def unusable(path: str, error: OSError) -> Ended:
    """What to raise where the system does not let a command into a home."""
    return Ended(f"the home {path} cannot be used: {error.strerror}; {look(path)}")


def none_at(path: str) -> Ended:
    """What to raise where a command needs a home and finds none."""
    try:
        os.stat(os.path.join(path, "home.toml"))
    except PermissionError as error:  # there may be one
        return unusable(path, error)
    except OSError:
        pass
    if is_broken(path):
        return Ended(
            f"the home {path} is incomplete, its home.toml is missing: restore that file from a backup, then `maniple up`"
        )
    return Ended(f"there is no home at {path}: make one with `maniple init`, or name another with --home")


def need(path: str) -> None:
    """Raises Ended where there is no home."""
    if not is_home(path):
        raise none_at(path)
