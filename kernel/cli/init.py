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
from kernel.cli.serving import listening, open_run_folder
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
    with _workplace(home) as place:
        key = founding.lay_out(place)
        folders, left_out = ([], {}) if no_hands else bundled.find()
        starting.start(place)
        with Client(place) as client:
            client.call("kernel.key-add", "", {"key": key.verify_key.text(), "hands": ["*"]})
            installed, refused = bundled.install_all(client, folders, key)
            client.call("kernel.down")
            client.wait_for_exit(60)
        os.rename(place, home)
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
        raise homes.none_at(home)
    if homes.is_home(home):
        raise Ended(f"there is a home at {home} already: `maniple up` starts it, --home names another")
    if os.path.ismount(home):
        inner = shlex.quote(os.path.join(home, "home"))
        raise Ended(f"{home} is a mount point, which a home cannot replace: `maniple init --home {inner}`")
    if os.path.lexists(home) and (not os.path.isdir(home) or os.listdir(home)):
        raise Ended(f"{home} exists already and is not a home: name another folder, `maniple init --home DIR`")


@contextmanager
def _workplace(home: str) -> Iterator[str]:
    """An empty folder beside the home's place, for one init of it at a time; gone afterwards, unless it was moved there.

    The lock is on that folder itself, so homes that are made side by side do not wait for one another.
    """
    above, name = os.path.split(home)
    place = os.path.join(above, f".{name}.unfinished")
    lock = _locked(place)
    if lock < 0:
        raise Ended(f"another `maniple init` of {home} is at work: wait for its end, then `maniple up`")
    try:
        _refuse_existing(home)  # the one that held the lock before may have made it
        _empty(place)
        yield place
    finally:
        if _is_at(lock, place):
            _empty(place)
            os.rmdir(place)
        os.close(lock)


def _locked(place: str) -> int:
    """A descriptor of the folder of that path, made if need be, whose lock this process holds; -1 if another does."""
    while True:
        os.makedirs(place, mode=0o700, exist_ok=True)
        try:
            lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # whoever held it was done with it just now
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return -1
        if _is_at(lock, place):
            return lock
        os.close(lock)


def _is_at(descriptor: int, path: str) -> bool:
    """Whether a path still leads to the folder of a descriptor."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _empty(place: str) -> None:
    """Remove all that an interrupted init left in its folder, and end its kernel first."""
    if not os.listdir(place):
        return
    try:
        with Client(place) as client:
            client.call("kernel.down")
            client.wait_for_exit(60)
    except (NoKernel, Ended):
        _kill(place)
    for each in list(os.scandir(place)):
        if each.is_dir(follow_symlinks=False):
            shutil.rmtree(each)
        else:
            os.unlink(each)


def _kill(place: str) -> None:
    """End a kernel that cannot be asked."""
    try:
        folder = open_run_folder(place)
    except Ended:
        return
    pid = listening(folder, place)
    os.close(folder)
    if pid > 0:
        os.kill(pid, 9)
