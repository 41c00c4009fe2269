"""Summaries of the home and its installed Hands, for people and programs, made from the State (pure)."""

from manifests import reinstalling
from manifests.installed import Installed
from manifests.judging import unread_reason
from manifests.seal import signers
from manifests.state import State


def home_summary(state: State) -> dict[str, object]:
    """Return a summary of the home, with Hands by name."""
    names: dict[str, str] = {hand.id: hand.name for hand in state.hands.values()}
    return {
        "frozen": state.frozen,
        "hands": len(state.hands),
        "wanted": sorted(names[hand] for hand in state.wanted if hand in names),
        "paused": sorted(names[hand] for hand in state.paused if hand in names),
        "quarantined": {names[hand]: why for hand, why in state.quarantined.items() if hand in names},
    }


def hand_rows(state: State, now: int, *, has_words: bool = True) -> list[dict[str, object]]:
    """Return a row for each installed Hand, by name. `why`: what keeps it from starting now. has_words: include the reason
    of a quarantine, which only the operator may see.
    """
    usable = {key.id for key in state.trust.keys if key.is_usable(now)}
    return [
        {
            "id": hand.id,
            "name": hand.name,
            "version": hand.version,
            "kind": hand.package.manifest.hand.kind,
            "description": hand.package.manifest.hand.description,
            "wanted": hand.id in state.wanted,
            "why": _quarantined(state, hand, has_words=has_words) or _held_back(hand, usable),
        }
        for _, hand in sorted(state.hands.items())
    ]


def _quarantined(state: State, hand: Installed, *, has_words: bool) -> str:
    why = state.quarantined.get(hand.id, "")
    return why if has_words or not why else "it is quarantined, as it died too often"


def _held_back(hand: Installed, usable: set[str]) -> str:
    """Return what keeps a Hand from starting: its folder, or that no key of its seal is usable. Checks no signature."""
    if why := unread_reason(hand):
        return f"it does not start: {why}"
    if any(key in usable for _, key in signers(hand.package.seal)):
        return ""
    return f"it does not start: the key that sealed it counts no more; {reinstalling.how_to_reinstall(hand.package.manifest)}"
