"""Hands of a passing name, by which servers are looked at (acts): each is one command's, and goes when that has gone.

A command that is killed cannot remove what it made: a Hand that may hold a secret. So each holds a lock in the home's `run`
for as long as it looks, and the next one that comes removes every such Hand whose lock nobody holds.
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
_LOCK: Final = ".lock"


@contextlib.contextmanager
def name(session: Session) -> Iterator[str]:
    """A new name, without PREFIX, that is ours until the block is left; its Hand is removed then, if there is one."""
    made, path, lock = _locked(session)
    try:
        yield made
    finally:
        try:
            with contextlib.suppress(ManipleError, OSError):
                remove.take_away(session, f"{PREFIX}{made}", purge=True)
        finally:
            os.unlink(path)
            os.close(lock)


def _locked(session: Session) -> tuple[str, str, int]:
    """A new name, the path of its lock, and a descriptor that holds it."""
    while True:
        made = f"look-{secrets.token_hex(4)}"
        path = _lock(session, f"{PREFIX}{made}")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return made, path, lock
        os.close(lock)  # another command took it, before it was held, for one that was left


def sweep(session: Session, client: Client) -> None:
    """Remove those whose command was killed, and what is left of those that were being removed when it was."""
    there = {row.name for row in installed.list_hands(client)}
    locked = {
        name.removesuffix(_LOCK) for name in os.listdir(os.path.join(session.home, "run")) if name.endswith(_LOCK)
    }
    for hand in sorted(there | locked):
        if hand.startswith(PREFIX) and NAME.fullmatch(hand.removeprefix(PREFIX)):
            with _abandoned(session, hand) as is_abandoned:
                if not is_abandoned:
                    continue
                if installed.find(client, hand) is not None:
                    remove.take_away(session, hand, purge=True)
                    session.say(f"{hand} was left by a `maniple mcp add` that was killed: it is removed")
                remove.purge_left(session, hand)


@contextlib.contextmanager
def _abandoned(session: Session, hand: str) -> Iterator[bool]:
    """Whether nobody holds its lock, which is ours in the block then, and gone after it."""
    path = _lock(session, hand)
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


def _lock(session: Session, hand: str) -> str:
    return os.path.join(session.home, "run", f"{hand}{_LOCK}")
