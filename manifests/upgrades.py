"""Decides about unfinished runs whose code was replaced since they began (pure).

An install upgrades one Hand. A start of the kernel with another interpreter, or with another version of Maniple, upgrades
all runs at once. The replaced version of a Hand is kept while an unfinished run that began with it exists (State.kept);
old interpreters and runtimes are not. The manifest that the run began with chooses `finish`, `restart` or `ask`: only the
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
from wire.amounts import Cost
from wire.codec import NIL
from wire.errors import Refusal
from wire.tape import Began

ANEW: Final = "upgraded: it was begun anew as"
"""The begin of a run's reason to end; the id of the run that took its place follows."""

_MADE: Final = re.compile(r".-[0-9a-f]{8}\Z")

ASKED: Final = "asked"
"""The verdict of a `decision` entry with which the kernel asks the operator for one of DECISIONS."""

ENDED: Final = "ended"
"""The code of the Refusal of a start by a run that was told to end."""

DECISIONS: Final[tuple[OnUpgrade, ...]] = ("finish", "restart")


def begun_with(state: State, run: Unfinished) -> Installed | None:
    """Return the version of a Hand that a run began with, installed or kept; None if it was removed, or is not kept."""
    return version_of(state, run.hand, run.seal)


def version_of(state: State, hand: str, seal: str) -> Installed | None:
    """Return the version of a Hand with this id and seal, installed or kept; None if there is none."""
    now, kept = state.by_id(hand), state.kept.get(seal)
    if now is not None and now.seal == seal:
        return now
    return kept if now is not None and kept is not None and kept.id == hand else None


def replaced_code(state: State, run: str) -> tuple[str, ...]:
    """Say what was replaced since an unfinished run began, in a clause for each part; () if nothing was."""
    unfinished = state.unfinished.get(run)
    if unfinished is None or (now := state.by_id(unfinished.hand)) is None:
        return ()
    before = begun_with(state, unfinished)
    version = f"{unfinished.name} {before.version}" if before is not None else unfinished.name
    hand = (f"{version} was replaced by {now.version}",) if now.seal != unfinished.seal else ()
    made_of = (f"another {name}" for name, was in unfinished.made_of.items() if state.made_of.get(name) != was)
    return (*hand, *made_of)


def on_upgrade_of(state: State, run: str) -> OnUpgrade:
    """Return what applies to an unfinished run; `finish` also if nothing was replaced, or the run is unknown."""
    unfinished = state.unfinished.get(run)
    if unfinished is None or not replaced_code(state, run):
        return "finish"
    if unfinished.decided in DECISIONS:
        return "restart" if unfinished.decided == "restart" else "finish"
    before = begun_with(state, unfinished)
    return before.package.manifest.hand.on_upgrade if before is not None else "finish"


def next_decision(state: State, run: str, fate: OnUpgrade, cannot: Refusal | None) -> tuple[str, str]:
    """Return verdict and reason of the `decision` entry to make about a run without a process; "", "" for none.

    fate: of on_upgrade_of(). cannot: why the run cannot be restarted. It is raised if that is temporary, or if the run's
    starter was told to end; otherwise the operator is asked.
    """
    unfinished = state.unfinished.get(run)
    decided = unfinished.decided if unfinished is not None else ""
    if cannot is not None and (is_temporary(cannot.code) or cannot.code == ENDED):
        raise cannot
    if (cannot is not None or fate == ASK) and decided != ASKED:
        return ASKED, cannot.why if cannot is not None else "; ".join(replaced_code(state, run))
    if fate == "finish" and decided == ASKED:
        return "finish", "what it was begun with is there again"
    return "", ""


def is_asked(state: State, run: str) -> bool:
    """Whether an unfinished run waits for the operator to decide."""
    unfinished = state.unfinished.get(run)
    return unfinished is not None and not unfinished.has_ended and unfinished.decided == ASKED


def check_restart(hand: Installed | None, name: str) -> Installed:
    """Return the Hand with which a run is restarted. Raises Refusal if it cannot be."""
    if hand is None or not hand.is_task:
        raise Refusal(
            "upgrade", f"{name} is not a task Hand any more, so no run of it begins: `maniple cancel` ends this one"
        )
    return hand


def run_begun_by(state: State, asked: int) -> str:
    """Return the run that a spawn or start call began already, or the latest one in its place; "" for none. asked: the
    call's number."""
    first = next((run for run, unfinished in state.unfinished.items() if unfinished.asked == asked and asked), "")
    return successor(state, first) if first else ""


def successor(state: State, run: str) -> str:
    """Return the latest run in the chain of those that took a run's place; the run itself if none did."""
    instead = {unfinished.instead: name for name, unfinished in state.unfinished.items() if unfinished.instead}
    while run in instead:
        run = instead[run]
    return run


def unneeded_folders(folders: Iterable[str], state: State, in_use: Iterable[str]) -> list[str]:
    """Return the folders below `hands/` that are not installed, kept or in use, and have a name that Maniple gave."""
    needed = {hand.folder for hand in (*state.hands.values(), *state.kept.values())}.union(in_use)
    return [folder for folder in folders if folder not in needed and _MADE.search(folder)]


def restarted_runs(state: State) -> dict[str, str]:
    """Return, by run, the reason to end of runs that were restarted, if the new run's work is in the log."""
    found = [
        (unfinished.instead, name)
        for name, unfinished in state.unfinished.items()
        if unfinished.has_ended or unfinished.work in state.open
    ]
    return {instead: f"{ANEW} {name}" for instead, name in found if instead}


def restart_call(began: Began, work: OpenCall, most: Cost | None) -> OpenCall:
    """Make the call that restarts a run: a copy of the call that started it. work: the run's; most: what is left of it."""
    call = OpenCall(
        began.asked, began.caller, work.by, b"", 0, provided=work.provided, resource="", body=NIL, parent=work.parent,
        deadline=0.0, labels=frozenset(began.labels), most=most, upload=False,
    )  # fmt: skip
    call.secret = work.secret
    return call


def firing_key(state: State, hand: str, run: str) -> str:
    """Return the key of the firing that started a scheduled run; "" for other runs."""
    return next((key for key, started in state.fired.get(hand, {}).items() if started == run), "")


def seconds_given(deadline: int, manifest: Manifest) -> float | None:
    """Return the seconds that a run's starter gave it; None for all of its Hand's `wall`. deadline: milliseconds."""
    return deadline / 1000 if deadline < manifest.limits.wall_ms - 1_000 else None
