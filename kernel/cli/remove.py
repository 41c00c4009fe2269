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
    """The reply of kernel.remove. hand: its id."""

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
        is_installed = hand in {row.name for row in installed.list_hands(client)}
        earlier_ids = () if is_installed else leftovers(session, hand)
        swept = set() if is_installed else orphans.remove_orphans(client)
        has_secrets = bool(swept) and not swept.isdisjoint(logbook.ids_of(session.log(), hand))
        if not is_installed and not earlier_ids and not has_secrets:
            installed.fetch_details(client, hand)  # raises: not installed, or not a name
    if earlier_ids and not purge:
        raise Ended(f"no Hand {hand!r} is installed; `maniple remove {hand} --purge` removes what an earlier one left")
    if purge and (is_installed or earlier_ids):
        what = f"Remove {hand} and all that it kept" if is_installed else f"{hand} was removed. Remove what it kept"
        confirm(f"{what} and remembers, for ever?", f"maniple remove {hand} --purge", yes=yes, done="removed")
    state_folder = remembered = None
    if is_installed:
        state_folder, remembered = remove_hand(session, hand, purge=purge)
    elif earlier_ids:
        purge_removed(session, hand)
    done = "is removed" if is_installed else "was removed before; what it left is gone now"
    session.result({"name": hand, "kept": state_folder, "remembered": remembered}, lambda: f"{hand} {done}.")
    if state_folder:
        session.say(f"Its state is still in {state_folder}")
    if remembered:
        session.say(_memory_note(remembered))
    if purge and is_installed and leftovers(session, hand):
        session.say(f"Hands of that name that were removed before left more: `maniple remove {hand} --purge` again")


def remove_hand(session: Session, hand: str, *, purge: bool) -> tuple[str | None, str | None]:
    """Remove a Hand; returns its state folder if that still exists, and its id if its memory does; else None."""
    with session.client() as client:
        removed = replies.read(client.call("kernel.remove", hand, seconds=120).value, Removed)
        orphans.delete_of(session.home, removed.hand)
        try:
            if purge:
                _purge(session, client, hand, removed.hand)
            compiling.remove_unused(client)
            orphans.remove_orphans(client)
        except BaseException:
            if memories.database_of(session.home, removed.hand):
                session.say(f"{hand} is removed. {_memory_note(removed.hand)}")
            raise
    kept = os.path.join(session.home, "state", removed.hand)
    remembered = removed.hand if memories.database_of(session.home, removed.hand) else None
    return kept if os.path.isdir(kept) else None, remembered


def purge_removed(session: Session, hand: str) -> None:
    """Erase what earlier, removed Hands of this name have left."""
    with session.client() as client:
        for one in leftovers(session, hand):
            _purge(session, client, hand, one)


def finish_removal(session: Session, client: Client, hand: str) -> bool:
    """Erase what a Hand that is not installed has left, secrets included; returns whether there was anything.

    For a command that always purges, typed again after it or the kernel was killed when the Hand was removed already.
    """
    if installed.find(client, hand) is not None:
        return False
    swept, left = orphans.remove_orphans(client), leftovers(session, hand)
    for one in left:
        _purge(session, client, hand, one)
    return bool(left) or not swept.isdisjoint(logbook.ids_of(session.log(), hand))


def _purge(session: Session, client: Client, hand: str, hand_id: str) -> None:
    """Erase what a removed Hand left; its memory first, by a call to another Hand, which may refuse."""
    try:
        if memories.database_of(session.home, hand_id):
            client.call("memory.erase", f"own/{hand_id}", seconds=memories.CALL_S)
    finally:
        _delete(session, "state", hand_id)
        for name in _output_files(hand):
            _delete(session, "output", name)


def leftovers(session: Session, hand: str) -> tuple[str, ...]:
    """Ids of removed Hands of a name that left something; all of them if output is left, which does not say whose it is."""
    ids = logbook.ids_of(session.log(), hand)
    if any(os.path.exists(os.path.join(session.home, "output", name)) for name in _output_files(hand)):
        return ids
    return tuple(
        one
        for one in ids
        if memories.database_of(session.home, one) or os.path.isdir(os.path.join(session.home, "state", one))
    )


def _output_files(hand: str) -> tuple[str, str]:
    return f"{hand}.log", f"{hand}.log.1"


def _memory_note(hand: str) -> str:
    """The message that a removed Hand's memory still exists. hand: its id."""
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
