"""What is installed, and the home, at a glance (pure): tables for people and programs, made from the State."""

from manifests import reinstalling
from manifests.installed import Installed
from manifests.judging import unread
from manifests.seal import signers
from manifests.state import State


def summary(state: State) -> dict[str, object]:
    """The home at a glance, Hands by their names."""
    names: dict[str, str] = {hand.id: hand.name for hand in state.hands.values()}
    return {
        "frozen": state.frozen,
        "hands": len(state.hands),
        "wanted": sorted(names[hand] for hand in state.wanted if hand in names),
        "paused": sorted(names[hand] for hand in state.paused if hand in names),
        "quarantined": {names[hand]: why for hand, why in state.quarantined.items() if hand in names},
    }


def described(state: State, now: int, *, has_words: bool = True) -> list[dict[str, object]]:
    """What is installed, by name: each Hand's record but for its manifest and seal. why: what keeps it from starting now;
    has_words: with the last words of one that is quarantined, which are for its operator alone.
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
    """What keeps it from starting: its folder, or that no key that sealed it is usable. No signature is looked at."""
    if why := unread(hand):
        return f"it does not start: {why}"
    if any(key in usable for _, key in signers(hand.package.seal)):
        return ""
    return f"it does not start: the key that sealed it counts no more; {reinstalling.how_to_reinstall(hand.package.manifest)}"
