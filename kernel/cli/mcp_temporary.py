"""Temporary Hands that probe MCP servers (acts): each belongs to one command, and is removed at its end.

A killed command cannot remove its temporary Hand, which may hold a secret. So each command holds a lock in the home's `run`
while it probes, and the next command removes every temporary Hand whose lock nobody holds.
"""

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from typing import Final

from kernel.cli import installed, remove
from kernel.cli.client import Client
from kernel.cli.frame import Session
from manifests.mcp.folder import PREFIX
from wire.errors import ManipleError

NAME: Final = re.compile(r"look-[0-9a-f]{8}")
_LOCK_SUFFIX: Final = ".lock"


@contextlib.contextmanager
def temporary_name(session: Session) -> Iterator[str]:
    """Yield a new name, without PREFIX, locked for the block; at its end the Hand of that name, if any, is removed."""
    new_name, path, lock = _new_lock(session)
    try:
        yield new_name
    finally:
        try:
            with contextlib.suppress(ManipleError, OSError):
                remove.remove_hand(session, f"{PREFIX}{new_name}", purge=True)
        finally:
            os.unlink(path)
            os.close(lock)


def _new_lock(session: Session) -> tuple[str, str, int]:
    """Make a new name and its lock; returns name, path of the lock, and a descriptor that holds it."""
    while True:
        new_name = f"look-{secrets.token_hex(4)}"
        path = _lock_path(session, f"{PREFIX}{new_name}")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return new_name, path, lock
        os.close(lock)  # another command took the new lock for an abandoned one


def remove_abandoned(session: Session, client: Client) -> None:
    """Remove temporary Hands whose command was killed, and the remains of those that were being removed."""
    installed_names = {row.name for row in installed.list_hands(client)}
    locked = {
        name.removesuffix(_LOCK_SUFFIX)
        for name in os.listdir(os.path.join(session.home, "run"))
        if name.endswith(_LOCK_SUFFIX)
    }
    for hand in sorted(installed_names | locked):
        if hand.startswith(PREFIX) and NAME.fullmatch(hand.removeprefix(PREFIX)):
            with _try_lock(session, hand) as is_abandoned:
                if not is_abandoned:
                    continue
                if installed.find(client, hand) is not None:
                    remove.remove_hand(session, hand, purge=True)
                    session.say(f"{hand} was left by a `maniple mcp add` that was killed: it is removed")
                remove.purge_removed(session, hand)


@contextlib.contextmanager
def _try_lock(session: Session, hand: str) -> Iterator[bool]:
    """Yield whether nobody holds a Hand's lock; if so, this process holds it in the block, and deletes it afterwards."""
    path = _lock_path(session, hand)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)


def _lock_path(session: Session, hand: str) -> str:
    return os.path.join(session.home, "run", f"{hand}{_LOCK_SUFFIX}")
