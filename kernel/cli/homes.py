"""Checks whether a path is a home (acts), and makes the error for one that is not."""

import os
import shlex
from typing import Final

from kernel.cli.exits import Ended

_PARTS: Final = ("keys", "log")
"""Folders that only a home has."""


def is_home(path: str) -> bool:
    """Whether home.toml exists, the file that init writes last."""
    return os.path.isfile(os.path.join(path, "home.toml"))


def is_broken(path: str) -> bool:
    """Whether this was a home and has lost its home.toml."""
    return not is_home(path) and all(os.path.isdir(os.path.join(path, part)) for part in _PARTS)


def access_hint(folder: str) -> str:
    """What to type if a folder is not accessible."""
    return f"`ls -ld {shlex.quote(folder)}` shows who may use it"


def unusable(path: str, error: OSError) -> Ended:
    """The error for a home that the system does not let this user into."""
    return Ended(f"the home {path} cannot be used: {error.strerror}; {access_hint(path)}")


def missing_home(path: str) -> Ended:
    """The error for a path where a home is needed and there is none."""
    try:
        os.stat(os.path.join(path, "home.toml"))
    except PermissionError as error:  # there may be a home
        return unusable(path, error)
    except OSError:
        pass
    if is_broken(path):
        return Ended(
            f"the home {path} is incomplete, its home.toml is missing: restore that file from a backup, then `maniple up`"
        )
    return Ended(f"there is no home at {path}: make one with `maniple init`, or name another with --home")


def require_home(path: str) -> None:
    """Raise Ended if there is no home at this path."""
    if not is_home(path):
        raise missing_home(path)
