"""`maniple remove` (acts)."""

import contextlib
import os

import click
from msgspec import Struct

from kernel import folders
from kernel.cli import compiling, told
from kernel.cli.frame import Session, command, hand_argument


class Removed(Struct, frozen=True, kw_only=True):
    """kernel.remove. hand: its id."""

    hand: str


@command()
@hand_argument
@click.option("--purge", is_flag=True, help="Also what it kept: its state folder and what it printed.")
def remove(session: Session, hand: str, purge: bool) -> None:
    """Remove a Hand, with its grants, settings and secrets; its processes end first.

    What it kept in its state folder stays until --purge, but no later Hand of the same name gets it: a Hand is known by
    an id, which never comes back.
    """
    left = take_away(session, hand, purge=purge)
    session.result({"name": hand, "kept": left}, lambda: f"{hand} is removed.")
    if left:
        session.say(f"What it kept is still in {left}")


def take_away(session: Session, hand: str, *, purge: bool) -> str | None:
    """Remove a Hand; the folder that still holds what it kept, if there is one."""
    with session.client() as client:
        removed = told.read(client.call("kernel.remove", hand, seconds=120).value, Removed)
        compiling.sweep(client)
    _delete(session, "keys", f"{removed.hand}.secrets")
    kept = os.path.join(session.home, "state", removed.hand)
    if purge:
        _delete(session, "state", removed.hand)
        _delete(session, "output", f"{hand}.log")
        _delete(session, "output", f"{hand}.log.1")
    return kept if os.path.isdir(kept) else None


def _delete(session: Session, *parts: str) -> None:
    path = os.path.join(session.home, *parts)
    if os.path.isdir(path):
        parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            folders.remove(os.path.basename(path), parent)
        os.close(parent)
    elif os.path.lexists(path):
        os.unlink(path)
