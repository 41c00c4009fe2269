"""What becomes of an unfinished run when it is not made any more of what it was begun with (pure).

A run's Hand is upgraded by an install, and that of all runs at once by a start of the kernel with another interpreter or
other code of Maniple's own. What was replaced of a Hand is kept as long as an unfinished run was begun with it (State.kept);
of interpreter and runtime nothing is. Which of `finish`, `restart` and `ask` holds says the manifest that the run was begun
with: it speaks of what that code has done by then, which its own author knows, and no later one.
"""

import re
from collections.abc import Iterable
from typing import Final

from manifests.calls import OpenCall
from manifests.installed import Installed
from manifests.lives import passes
from manifests.schema import ASK, Manifest, OnUpgrade
from manifests.state import State
from manifests.unfinished import Unfinished
from wire.codec import NIL
from wire.entries import Cost
from wire.errors import Refusal
from wire.tape import Began

ANEW: Final = "upgraded: it was begun anew as"
"""Why a run has ended, before the one that goes on instead."""

_MADE: Final = re.compile(r".-[0-9a-f]{8}\Z")

ASKED: Final = "asked"
"""The verdict of the decision by which the kernel asks for one of these."""

ENDED: Final = "ended"
"""The code of a Refusal for a run that was told to end, and begins none any more."""

DECISIONS: Final[tuple[OnUpgrade, ...]] = ("finish", "restart")


def begun_with(state: State, one: Unfinished) -> Installed | None:
    """The Hand as a run was begun with it, as it is installed or kept; None when it was removed, or is not kept."""
    return version_of(state, one.hand, one.seal)


def version_of(state: State, hand: str, seal: str) -> Installed | None:
    """The Hand with this id and seal, as it is installed or kept."""
    now, kept = state.by_id(hand), state.kept.get(seal)
    if now is not None and now.seal == seal:
        return now
    return kept if now is not None and kept is not None and kept.id == hand else None


def changed(state: State, run: str) -> tuple[str, ...]:
    """What an unfinished run was begun with and is not any more, in words."""
    one = state.unfinished.get(run)
    if one is None or (now := state.by_id(one.hand)) is None:
        return ()
    before = begun_with(state, one)
    version = f"{one.name} {before.version}" if before is not None else one.name
    hand = (f"{version} was replaced by {now.version}",) if now.seal != one.seal else ()
    made_of = (f"another {name}" for name, was in one.made_of.items() if state.made_of.get(name) != was)
    return (*hand, *made_of)


def fate(state: State, run: str) -> OnUpgrade:
    """What becomes of an unfinished run; finish also for one of which nothing was changed, or is known."""
    one = state.unfinished.get(run)
    if one is None or not changed(state, run):
        return "finish"
    if one.decided in DECISIONS:
        return "restart" if one.decided == "restart" else "finish"
    before = begun_with(state, one)
    return before.package.manifest.hand.on_upgrade if before is not None else "finish"


def verdict(state: State, run: str, fate: OnUpgrade, cannot: Refusal | None) -> tuple[str, str]:
    """The kernel's own decision about a run without a process, and why; "" when there is nothing to say.

    cannot: why no other run begins instead of it. Raises that where it passes by itself, or nobody is there to hear how it
    ends; else the operator is asked.
    """
    one = state.unfinished.get(run)
    decided = one.decided if one is not None else ""
    if cannot is not None and (passes(cannot.code) or cannot.code == ENDED):
        raise cannot
    if (cannot is not None or fate == ASK) and decided != ASKED:
        return ASKED, cannot.why if cannot is not None else "; ".join(changed(state, run))
    if fate == "finish" and decided == ASKED:
        return "finish", "what it was begun with is there again"
    return "", ""


def is_asked(state: State, run: str) -> bool:
    """Whether an unfinished run waits for the operator's decision."""
    one = state.unfinished.get(run)
    return one is not None and not one.has_ended and one.decided == ASKED


def check_restart(hand: Installed | None, name: str) -> Installed:
    """The Hand that a run of this name is to begin anew with. Raises Refusal when it cannot."""
    if hand is None or not hand.is_task:
        raise Refusal(
            "upgrade", f"{name} is no task Hand any more, so no run of it begins: `maniple cancel` ends this one"
        )
    return hand


def spawned(state: State, asked: int) -> str:
    """The run that a call has begun already, or that goes on instead of it; "" for none."""
    first = next((run for run, one in state.unfinished.items() if one.asked == asked and asked), "")
    return newest(state, first) if first else ""


def newest(state: State, run: str) -> str:
    """The run that goes on instead of one, as far as it is known; itself when none does."""
    instead = {one.instead: name for name, one in state.unfinished.items() if one.instead}
    while run in instead:
        run = instead[run]
    return run


def unneeded(folders: Iterable[str], state: State, in_use: Iterable[str]) -> list[str]:
    """Which folders below `hands/` nothing needs: not installed, not kept, no run's; and named as Maniple names them."""
    needed = {one.folder for one in (*state.hands.values(), *state.kept.values())}.union(in_use)
    return [folder for folder in folders if folder not in needed and _MADE.search(folder)]


def begun_anew(state: State) -> dict[str, str]:
    """Why runs have ended that others were begun instead of, whose work is in the log."""
    found = [(one.instead, name) for name, one in state.unfinished.items() if one.has_ended or one.work in state.open]
    return {instead: f"{ANEW} {name}" for instead, name in found if instead}


def cause(told: Began, work: OpenCall, most: Cost | None) -> OpenCall:
    """What another run is begun for instead of the one with this work: what asked for that one. most: that is left of it."""
    return OpenCall(
        told.asked, told.caller, work.by, b"", 0, provided=work.provided, resource="", body=NIL, parent=work.parent,
        deadline=0.0, labels=frozenset(told.labels), most=most, upload=False,
    )  # fmt: skip


def key_of(state: State, hand: str, run: str) -> str:
    """The key of the firing that began a scheduled run, "" for one that none did."""
    return next((key for key, one in state.fired.get(hand, {}).items() if one == run), "")


def seconds_given(deadline: int, manifest: Manifest) -> float | None:
    """The time that a run was given by whoever began it, None where it had all its Hand's `wall`. deadline: milliseconds."""
    return deadline / 1000 if deadline < manifest.limits.wall_ms - 1_000 else None
