"""Runs modules as an ordinary user, and makes folders for that user (acts).

Tests that run as root become user 1000, or 1001 in the second worker, as the limit on processes counts per user. If the
interpreter or this tree lies where only root can go, it is mounted at its own path in a mount namespace that only this
process sees, and that ends with it.
"""

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.living import ROOT
from tests.small_disk import NOT_MOUNTED, run_with_mounts

USER = 1000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@contextmanager
def user_folder() -> Iterator[Path]:
    """Yield a folder of the ordinary user's; pytest's folders lie in one that only root can enter."""
    folder = Path(tempfile.mkdtemp(prefix="maniple-user-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, USER, USER)
        yield folder
    finally:
        shutil.rmtree(folder)


def run_as_user(words: list[str], folder: Path, stage: Path, *, within: float) -> str:
    """Run a module as the ordinary user, and return its stdout. Fails unless it exits with 0 within `within` seconds.

    place: its HOME. stage: a folder for mount points. Skips if this machine cannot become that user.
    """
    return run_with_mounts(
        _as_user([sys.executable, "-m", *words], stage),
        f"shows user {USER} no interpreter",
        within=within,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def _closed_parent(path: Path) -> Path | None:
    """The uppermost parent of a path that others may not enter; None if there is none."""
    return next((parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o001), None)


def _mount_commands(stage: Path) -> str:
    """Shell commands that mount interpreter and tree past parents that others may not enter; "" if not needed."""
    needed = [Path(one).resolve() for one in (sys.base_prefix, sys.prefix, ROOT)]
    needed = [one for one in dict.fromkeys(needed) if not set(one.parents) & set(needed)]
    hidden = [(one, closed, stage / str(at)) for at, one in enumerate(needed) if (closed := _closed_parent(one))]
    commands = [f"mkdir {aside} && mount --bind {shlex.quote(str(one))} {aside}" for one, _, aside in hidden]
    commands += [
        f"mount -t tmpfs -o mode=755 none {shlex.quote(str(closed))}"
        for closed in dict.fromkeys(closed for _, closed, _ in hidden)
    ]
    for one, _, aside in hidden:
        path = shlex.quote(str(one))
        commands.append(f"mkdir -p {path} && mount --bind {aside} {path}")
    return "".join(f"{{ {command}; }} || exit {NOT_MOUNTED}\n" for command in commands)


def _as_user(command: list[str], stage: Path) -> list[str]:
    """Prefix a command so that it runs as the ordinary user; unchanged if this process is not root."""
    if os.geteuid() != 0:
        return command
    if shutil.which("setpriv") is None or shutil.which("unshare") is None:
        pytest.skip("becoming an ordinary user needs setpriv and unshare, which are parts of util-linux")
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    if not (mount_commands := _mount_commands(stage)):
        return [*user, *command]
    script = f'umask 022\n{mount_commands}cd {shlex.quote(str(ROOT))} && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, "sh", *user, *command]
