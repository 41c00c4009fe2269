"""`maniple remove` (acts)."""

import contextlib
import os

import click
from msgspec import Struct

from kernel import folders
from kernel.cli import compiling, memories, told
from kernel.cli.frame import Session, command, hand_argument
from kernel.cli.sure import make_sure


class Removed(Struct, frozen=True, kw_only=True):
    """kernel.remove. hand: its id."""

    hand: str


@command()
@hand_argument
@click.option("--purge", is_flag=True, help="Also what it kept and remembers, and what it printed.")
@click.option("--yes", is_flag=True, help="Do not ask before --purge.")
def remove(session: Session, hand: str, purge: bool, yes: bool) -> None:
    """Remove a Hand, with its grants, settings and secrets; its processes end first.

    What it kept in its state folder, and what it remembers, stays until --purge, but no later Hand of the same name gets
    it: a Hand is known by an id, which never comes back.
    """
    if purge:
        what = f"Remove {hand} and all that it kept and remembers, for ever?"
        make_sure(what, f"maniple remove {hand} --purge", yes=yes, done="removed")
    left, remembered = take_away(session, hand, purge=purge)
    session.result({"name": hand, "kept": left, "remembered": remembered}, lambda: f"{hand} is removed.")
    if left:
        session.say(f"What it kept is still in {left}")
    if remembered:
        session.say(_remembered(remembered))


def take_away(session: Session, hand: str, *, purge: bool) -> tuple[str | None, str | None]:
    """Remove a Hand; the folder that still holds what it kept, and its id if there still is a memory of it."""
    with session.client() as client:
        removed = told.read(client.call("kernel.remove", hand, seconds=120).value, Removed)
        _delete(session, "keys", f"{removed.hand}.secrets")
        _delete(session, "keys", f"{removed.hand}.token")
        try:
            if purge and memories.kept_of(session.home, removed.hand):
                client.call("memory.erase", f"own/{removed.hand}", seconds=memories.LONG_S)
            compiling.sweep(client)
        except BaseException:  # the Hand is gone: typed again, this command finds none of that name
            if memories.kept_of(session.home, removed.hand):
                session.say(f"{hand} is removed. {_remembered(removed.hand)}")
            raise
        finally:
            if purge:
                _delete(session, "state", removed.hand)
                _delete(session, "output", f"{hand}.log")
                _delete(session, "output", f"{hand}.log.1")
    kept = os.path.join(session.home, "state", removed.hand)
    remembered = removed.hand if memories.kept_of(session.home, removed.hand) else None
    return kept if os.path.isdir(kept) else None, remembered


def _remembered(hand: str) -> str:
    """What is said of the memory of a removed Hand. hand: its id."""
    return f"What it remembers is still there: `maniple memory erase --hand {hand}` erases it"


def _delete(session: Session, *parts: str) -> None:
    path = os.path.join(session.home, *parts)
    if os.path.isdir(path):
        parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            folders.remove(os.path.basename(path), parent)
        os.close(parent)
    elif os.path.lexists(path):
        os.unlink(path)
