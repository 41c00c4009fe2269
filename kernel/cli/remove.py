"""`maniple remove` (acts)."""

import contextlib
import os

import click
from msgspec import Struct

from kernel import folders
from kernel.cli import compiling, installed, logbook, memories, orphans, replies
from kernel.cli.client import Client
from kernel.cli.confirming import confirm
from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command, hand_argument


class Removed(Struct, frozen=True, kw_only=True):
    """kernel.remove. hand: its id."""

    hand: str


@command()
@hand_argument
@click.option("--purge", is_flag=True, help="Also erase its state, its memory and what it printed, for ever.")
@click.option("--yes", is_flag=True, help="Do not ask before --purge.")
def remove(session: Session, hand: str, purge: bool, yes: bool) -> None:
    """Remove a Hand, with its grants, settings and secrets, after its processes have ended.

    Its state folder and its memory stay until --purge, but no later Hand of the same name gets them: each Hand has an
    id, which is never used again. --purge also works for a Hand that was removed before.
    """
    with session.client() as client:
        is_there = hand in {row.name for row in installed.list_hands(client)}
        before = () if is_there else leftovers(session, hand)
        swept = set() if is_there else orphans.sweep(client)
        has_secrets = bool(swept) and not swept.isdisjoint(logbook.ids_of(session.log(), hand))
        if not is_there and not before and not has_secrets:
            installed.fetch_details(client, hand)  # which says that it is not there, or that this is no name
    if before and not purge:
        raise Ended(f"no Hand {hand!r} is installed; `maniple remove {hand} --purge` removes what an earlier one left")
    if purge and (is_there or before):
        what = f"Remove {hand} and all that it kept" if is_there else f"{hand} was removed. Remove what it kept"
        confirm(f"{what} and remembers, for ever?", f"maniple remove {hand} --purge", yes=yes, done="removed")
    left = remembered = None
    if is_there:
        left, remembered = take_away(session, hand, purge=purge)
    elif before:
        purge_left(session, hand)
    done = "is removed" if is_there else "was removed before; what it left is gone now"
    session.result({"name": hand, "kept": left, "remembered": remembered}, lambda: f"{hand} {done}.")
    if left:
        session.say(f"Its state is still in {left}")
    if remembered:
        session.say(_remembered(remembered))
    if purge and is_there and leftovers(session, hand):
        session.say(f"Hands of that name that were removed before left more: `maniple remove {hand} --purge` again")


def take_away(session: Session, hand: str, *, purge: bool) -> tuple[str | None, str | None]:
    """Remove a Hand; the folder that still holds what it kept, and its id if there still is a memory of it."""
    with session.client() as client:
        removed = replies.read(client.call("kernel.remove", hand, seconds=120).value, Removed)
        orphans.remove(session.home, removed.hand)
        try:
            if purge:
                _purge(session, client, hand, removed.hand)
            compiling.remove_unused(client)
            orphans.sweep(client)
        except BaseException:
            if memories.kept_of(session.home, removed.hand):
                session.say(f"{hand} is removed. {_remembered(removed.hand)}")
            raise
    kept = os.path.join(session.home, "state", removed.hand)
    remembered = removed.hand if memories.kept_of(session.home, removed.hand) else None
    return kept if os.path.isdir(kept) else None, remembered


def purge_left(session: Session, hand: str) -> None:
    """Take away what Hands of a name left that were removed before."""
    with session.client() as client:
        for one in leftovers(session, hand):
            _purge(session, client, hand, one)


def was_purged(session: Session, client: Client, hand: str) -> bool:
    """Whether a Hand that is not installed had left something, with its secrets: all of that is taken away.

    For a command that always purges, typed again after it was killed, or its kernel was, when the Hand was gone already.
    """
    if installed.find(client, hand) is not None:
        return False
    swept, left = orphans.sweep(client), leftovers(session, hand)
    for one in left:
        _purge(session, client, hand, one)
    return bool(left) or not swept.isdisjoint(logbook.ids_of(session.log(), hand))


def _purge(session: Session, client: Client, hand: str, hand_id: str) -> None:
    """What a removed Hand left; its memory first, for whose end another Hand is asked, which may refuse."""
    try:
        if memories.kept_of(session.home, hand_id):
            client.call("memory.erase", f"own/{hand_id}", seconds=memories.LONG_S)
    finally:
        _delete(session, "state", hand_id)
        for name in _printed(hand):
            _delete(session, "output", name)


def leftovers(session: Session, hand: str) -> tuple[str, ...]:
    """The ids of the Hands of a name, of which none is installed, that left something; all of them, if it is in a log."""
    ids = logbook.ids_of(session.log(), hand)
    if any(os.path.exists(os.path.join(session.home, "output", name)) for name in _printed(hand)):
        return ids
    return tuple(
        one
        for one in ids
        if memories.kept_of(session.home, one) or os.path.isdir(os.path.join(session.home, "state", one))
    )


def _printed(hand: str) -> tuple[str, str]:
    return f"{hand}.log", f"{hand}.log.1"


def _remembered(hand: str) -> str:
    """What is said of the memory of a removed Hand. hand: its id."""
    return f"Its memory is still there: `maniple memory erase --hand {hand}` erases it"


def _delete(session: Session, *parts: str) -> None:
    path = os.path.join(session.home, *parts)
    if os.path.isdir(path):
        parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            folders.remove(os.path.basename(path), parent)
        os.close(parent)
    elif os.path.lexists(path):
        os.unlink(path)
