"""What becomes of an unfinished run whose code was replaced since it began (pure).

An install upgrades one Hand. A start of the kernel with another interpreter or other code of Maniple itself upgrades all runs
at once. The replaced version of a Hand is kept while an unfinished run was begun with it (State.kept); old interpreters and
runtimes are not. Whether `finish`, `restart` or `ask` applies is said by the manifest that the run was begun with: only the
author of that code knows what it has done by then.
"""

import re
from collections.abc import Iterable
from typing import Final

from manifests.calls import OpenCall
from manifests.installed import Installed
from manifests.lives import is_temporary
from manifests.schema import ASK, Manifest, OnUpgrade
from manifests.state import State
from manifests.unfinished import Unfinished
from wire.codec import NIL
from wire.entries import Cost
from wire.errors import Refusal
from wire.tape import Began

ANEW: Final = "upgraded: it was begun anew as"
"""How the reason begins why a run has ended; then comes the run that took its place."""

_MADE: Final = re.compile(r".-[0-9a-f]{8}\Z")

ASKED: Final = "asked"
"""The verdict of a `decision` entry by which the kernel asks the operator for one of DECISIONS."""

ENDED: Final = "ended"
"""The code of a Refusal: a run that was told to end starts no other."""

DECISIONS: Final[tuple[OnUpgrade, ...]] = ("finish", "restart")


def begun_with(state: State, run: Unfinished) -> Installed | None:
    """The Hand that a run was begun with, installed or kept; None when it was removed, or is not kept."""
    return version_of(state, run.hand, run.seal)


def version_of(state: State, hand: str, seal: str) -> Installed | None:
    """The Hand with this id and seal, installed or kept."""
    now, kept = state.by_id(hand), state.kept.get(seal)
    if now is not None and now.seal == seal:
        return now
    return kept if now is not None and kept is not None and kept.id == hand else None


def changed(state: State, run: str) -> tuple[str, ...]:
    """What was replaced of an unfinished run since it began, in words."""
    unfinished = state.unfinished.get(run)
    if unfinished is None or (now := state.by_id(unfinished.hand)) is None:
        return ()
    before = begun_with(state, unfinished)
    version = f"{unfinished.name} {before.version}" if before is not None else unfinished.name
    hand = (f"{version} was replaced by {now.version}",) if now.seal != unfinished.seal else ()
    made_of = (f"another {name}" for name, was in unfinished.made_of.items() if state.made_of.get(name) != was)
    return (*hand, *made_of)


def fate(state: State, run: str) -> OnUpgrade:
    """What is to become of an unfinished run; `finish` also where nothing was replaced, or nothing is known of it."""
    unfinished = state.unfinished.get(run)
    if unfinished is None or not changed(state, run):
        return "finish"
    if unfinished.decided in DECISIONS:
        return "restart" if unfinished.decided == "restart" else "finish"
    before = begun_with(state, unfinished)
    return before.package.manifest.hand.on_upgrade if before is not None else "finish"


def verdict(state: State, run: str, fate: OnUpgrade, cannot: Refusal | None) -> tuple[str, str]:
    """The verdict and reason of a `decision` entry about a run without a process; "" for both when there is none to be made.

    cannot: why the run cannot be started anew. Raised when that passes by itself, or when nobody waits for the run; in other
    cases the operator is asked.
    """
    unfinished = state.unfinished.get(run)
    decided = unfinished.decided if unfinished is not None else ""
    if cannot is not None and (is_temporary(cannot.code) or cannot.code == ENDED):
        raise cannot
    if (cannot is not None or fate == ASK) and decided != ASKED:
        return ASKED, cannot.why if cannot is not None else "; ".join(changed(state, run))
    if fate == "finish" and decided == ASKED:
        return "finish", "what it was begun with is there again"
    return "", ""


def is_asked(state: State, run: str) -> bool:
    """Whether an unfinished run waits for the operator to decide."""
    unfinished = state.unfinished.get(run)
    return unfinished is not None and not unfinished.has_ended and unfinished.decided == ASKED


def check_restart(hand: Installed | None, name: str) -> Installed:
    """The Hand with which a run is to be started anew. Raises Refusal when it cannot be."""
    if hand is None or not hand.is_task:
        raise Refusal(
            "upgrade", f"{name} is not a task Hand any more, so no run of it begins: `maniple cancel` ends this one"
        )
    return hand


def spawned(state: State, asked: int) -> str:
    """The run that a spawn or start has begun already, or the one that took its place; "" for none."""
    first = next((run for run, unfinished in state.unfinished.items() if unfinished.asked == asked and asked), "")
    return newest(state, first) if first else ""


def newest(state: State, run: str) -> str:
    """The last run in a row of those that took each other's place; the run itself when none did."""
    instead = {unfinished.instead: name for name, unfinished in state.unfinished.items() if unfinished.instead}
    while run in instead:
        run = instead[run]
    return run


def unneeded(folders: Iterable[str], state: State, in_use: Iterable[str]) -> list[str]:
    """The folders below `hands/` that are not installed, kept or in use, if Maniple made them, as their names tell."""
    needed = {hand.folder for hand in (*state.hands.values(), *state.kept.values())}.union(in_use)
    return [folder for folder in folders if folder not in needed and _MADE.search(folder)]


def begun_anew(state: State) -> dict[str, str]:
    """By run, why it ended: those that were started anew, if the new run's work is in the log."""
    found = [
        (unfinished.instead, name)
        for name, unfinished in state.unfinished.items()
        if unfinished.has_ended or unfinished.work in state.open
    ]
    return {instead: f"{ANEW} {name}" for instead, name in found if instead}


def cause(began: Began, work: OpenCall, most: Cost | None) -> OpenCall:
    """The call for which a run is started anew: the one that asked for the run with this work. most: what is left of it."""
    return OpenCall(
        began.asked, began.caller, work.by, b"", 0, provided=work.provided, resource="", body=NIL, parent=work.parent,
        deadline=0.0, labels=frozenset(began.labels), most=most, upload=False,
    )  # fmt: skip


def key_of(state: State, hand: str, run: str) -> str:
    """The key of the firing that started a scheduled run; "" for other runs."""
    return next((key for key, started in state.fired.get(hand, {}).items() if started == run), "")


def seconds_given(deadline: int, manifest: Manifest) -> float | None:
    """The seconds that a run was given by its starter; None for all of its Hand's `wall`. deadline: milliseconds."""
    return deadline / 1000 if deadline < manifest.limits.wall_ms - 1_000 else None
