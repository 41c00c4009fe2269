"""What becomes an ordinary user: a folder of that user's, and a module that is run as that user.

Tests that run as root become user 1000 for it, or 1001 in the second worker: the limit on processes counts a user's. What
that user must read, the interpreter and this tree, may lie where only root can go; then it is shown at its own path in a
mount namespace, which nobody else sees and which ends with it.
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
from tests.small_disk import NOT_MOUNTED, mounted

USER = 1000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@contextmanager
def place_of_users() -> Iterator[Path]:
    """A folder of the ordinary user's; pytest's own lie in one that only root can enter."""
    folder = Path(tempfile.mkdtemp(prefix="maniple-user-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, USER, USER)
        yield folder
    finally:
        shutil.rmtree(folder)


def said(words: list[str], place: Path, stage: Path, *, within: float) -> str:
    """What a module says on stdout that is run as the user, in so many seconds; it has to end well.

    stage: a folder for what is shown to that user. Skips where nobody can become one.
    """
    return mounted(
        _as_user([sys.executable, "-m", *words], stage),
        f"shows user {USER} no interpreter",
        within=within,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(place), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def _closed(path: Path) -> Path | None:
    """The uppermost folder above a path that not everybody can go through."""
    return next((above for above in reversed(path.parents) if not above.stat().st_mode & 0o001), None)


def _opened(stage: Path) -> str:
    """Commands that show interpreter and tree in spite of closed folders above them; none where there are none."""
    needed = [Path(one).resolve() for one in (sys.base_prefix, sys.prefix, ROOT)]
    needed = [one for one in dict.fromkeys(needed) if not set(one.parents) & set(needed)]
    hidden = [(one, closed, stage / str(at)) for at, one in enumerate(needed) if (closed := _closed(one))]
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
    """The command as the ordinary user's, if this process is not one already."""
    if os.geteuid() != 0:
        return command
    if shutil.which("setpriv") is None or shutil.which("unshare") is None:
        pytest.skip("becoming an ordinary user needs setpriv and unshare, which are parts of util-linux")
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    if not (opened := _opened(stage)):
        return [*user, *command]
    script = f'umask 022\n{opened}cd {shlex.quote(str(ROOT))} && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, "sh", *user, *command]
