"""`maniple init` (acts)."""

import fcntl
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import click

from kernel.cli import bundled, founding, homes, starting
from kernel.cli.client import Client
from kernel.cli.exits import Ended, NoKernel, need_linux
from kernel.cli.frame import Session, command
from kernel.cli.serving import find_kernel, open_run_folder
from kernel.record.growing import sync_folder


@command()
@click.option("--no-hands", is_flag=True, help="Install none of the bundled Hands.")
def init(session: Session, no_hands: bool) -> None:
    """Create the home: fresh keys, a new log, and the bundled Hands.

    Each bundled Hand is sealed with the home's own key, which the home trusts, and is granted what it asks for. Grants
    on files reach nothing until you give a folder a name, with `maniple roots add`.

    The home appears only when it is complete: if init is interrupted, type it again. An existing home is never touched.
    """
    need_linux()
    home = os.path.realpath(session.home)
    _refuse_existing(home)
    os.makedirs(os.path.dirname(home), exist_ok=True)
    with _draft_home(home) as draft:
        key = founding.create_home_files(draft)
        folders, left_out = ([], {}) if no_hands else bundled.find()
        starting.start(draft)
        with Client(draft) as client:
            client.call("kernel.key-add", "", {"key": key.verify_key.text(), "hands": ["*"]})
            installed, refused = bundled.install_all(client, folders, key)
            client.call("kernel.down")
            client.wait_for_exit(60)
        os.rename(draft, home)
        sync_folder(os.path.dirname(home))
    left_out |= refused
    with open(os.path.join(home, "keys", "log.pub"), encoding="ascii") as file:
        public = file.read().strip()
    session.result(
        {
            "home": session.home,
            "log_key": public,
            "seal_key": key.verify_key.text(),
            "hands": [{"name": folder.name, "version": folder.version} for folder in installed],
            "left_out": left_out,
        },
        lambda: "\n".join(
            [
                f"The home is {session.home}.",
                f"Its log is signed by {public}",
                *(f"Installed: {folder.name} {folder.version}" for folder in installed),
            ]
        ),
    )
    for name, why in left_out.items():
        session.say(f"maniple: {name} was left out: {why}")
    session.say("Keep a copy of that key elsewhere: with it, anybody can verify the log. Next: `maniple up`")


def _refuse_existing(home: str) -> None:
    if homes.is_broken(home):
        raise homes.missing_home(home)
    if homes.is_home(home):
        raise Ended(f"there is a home at {home} already: `maniple up` starts it, --home names another")
    if os.path.ismount(home):
        inner = shlex.quote(os.path.join(home, "home"))
        raise Ended(f"{home} is a mount point, which a home cannot replace: `maniple init --home {inner}`")
    if os.path.lexists(home) and (not os.path.isdir(home) or os.listdir(home)):
        raise Ended(f"{home} exists already and is not a home: name another folder, `maniple init --home DIR`")


@contextmanager
def _draft_home(home: str) -> Iterator[str]:
    """Yield an empty, locked folder beside the future home; it is removed afterwards, unless it was renamed to the home.

    Each home has its own such folder and lock, so commands that make different homes do not wait for one another.
    """
    parent, name = os.path.split(home)
    draft = os.path.join(parent, f".{name}.unfinished")
    lock = _lock_folder(draft)
    if lock < 0:
        raise Ended(f"another `maniple init` of {home} is at work: wait for its end, then `maniple up`")
    try:
        _refuse_existing(home)  # the previous holder of the lock may have made it
        _clear(draft)
        yield draft
    finally:
        if _is_at(lock, draft):
            _clear(draft)
            os.rmdir(draft)
        os.close(lock)


def _lock_folder(draft: str) -> int:
    """Make a folder if needed, and lock it. Returns a descriptor that holds the lock; -1 if another process has it."""
    while True:
        os.makedirs(draft, mode=0o700, exist_ok=True)
        try:
            lock = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # its holder has just removed or renamed it
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return -1
        if _is_at(lock, draft):
            return lock
        os.close(lock)


def _is_at(descriptor: int, path: str) -> bool:
    """Whether a path still leads to the folder that a descriptor is open on."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _clear(draft: str) -> None:
    """End the kernel that an interrupted init left, then remove everything in its folder."""
    if not os.listdir(draft):
        return
    try:
        with Client(draft) as client:
            client.call("kernel.down")
            client.wait_for_exit(60)
    except (NoKernel, Ended):
        _kill_kernel(draft)
    for each in list(os.scandir(draft)):
        if each.is_dir(follow_symlinks=False):
            shutil.rmtree(each)
        else:
            os.unlink(each)


def _kill_kernel(draft: str) -> None:
    """Kill a kernel that does not answer."""
    try:
        folder = open_run_folder(draft)
    except Ended:
        return
    pid = find_kernel(folder, draft)
    os.close(folder)
    if pid > 0:
        os.kill(pid, 9)
