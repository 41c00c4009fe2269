"""Decides whether a Hand's seal lets it be installed or started now (pure); separate from changes.py, since starts use it."""

import hashlib
from typing import Final

from manifests.errors import SealRefused
from manifests.installed import Installed, Package
from manifests.seal import MANIFEST_FILE, Seal, signers
from manifests.state import State
from wire.errors import Refusal

BUNDLED: Final = frozenset(
    (
        "ask", "assistant", "communication", "data-pipeline", "documents", "files", "gateway", "machine", "mcp", "memory",
        "model", "monitoring", "pages", "plan", "report", "scheduling", "shell", "skills", "time", "web",
        "web-automation",
    )
)  # fmt: skip
"""Names, and so method prefixes, of bundled Hands: only the home's own key may seal Hands with these names."""

_MEND: Final = "look at it, then type `maniple install DIR` with a folder that you trust"


def judge(state: State, package: Package, now: int, *, is_older: bool = False) -> Seal:
    """Return the package's seal if it lets the Hand be installed or started. Raises Refusal if not.

    now: microseconds since the epoch. is_older: an older version than the last one is allowed.
    """
    hand = package.manifest.hand
    last = None if is_older else state.versions.get(hand.name)
    try:
        seal = state.trust.judge(
            package.seal, name=hand.name, version=hand.version, last_version=last, now=now, manifest=package.manifest
        )
    except SealRefused as refused:
        raise Refusal("seal", f"{hand.name} {hand.version} is refused: {refused}") from None
    if seal.files[MANIFEST_FILE] != package.digest:
        raise Refusal(
            "seal", f"{hand.name} {hand.version} is refused: {MANIFEST_FILE} was changed after sealing; {_MEND}"
        )
    return seal


def check_owner(state: State, name: str, sealed: Seal, now: int) -> None:
    """Raise Refusal unless the seal's keys own the name: a key of the version before, or the home's own for bundled names."""
    if name in BUNDLED and not any(map(state.trust.is_own, sealed.by)):
        raise Refusal("seal", f"the name {name} is kept for a bundled Hand, which only the home's own key may seal")
    before = state.hands.get(name)
    if before is None:
        return
    mend = f"`maniple remove {name}` first, which ends its grants"
    owners = {*before.by} or {key_id for _, key_id in signers(before.package.seal)}
    if not owners and name not in BUNDLED:  # an older Maniple installed it, and its folder cannot be read
        raise Refusal("seal", f"nobody can tell any more whose {name} is: {mend}")
    alive = [key.name for key in state.trust.keys if key.id in owners and key.is_usable(now)]
    if alive and not owners & set(sealed.by):
        mend = f"{mend}; where its maker has a new one, `maniple keys rotate`"
        raise Refusal("seal", f"{name} belongs to the key {alive[0]}, and this seal is by another: {mend}")


def unread_reason(hand: Installed) -> str:
    """Return why the content of a Hand's folder was not accepted when the log was read, "" if it was."""
    if hashlib.sha256(hand.package.seal.encode()).hexdigest() == hand.seal:
        return ""
    what = "its HAND.seal or HAND.toml is not what was installed, or is refused by this Maniple"
    folder = f"hands/{hand.folder} in the home"
    return f"{what}: of {folder} `maniple verify` tells what was changed, and `maniple check` what is refused"


def judge_installed(state: State, hand: Installed, now: int) -> Seal:
    """Return the seal of an installed Hand if it may start now and its folder is unchanged. Raises Refusal if not.

    A replaced version that is kept for unfinished runs, or is only replayed, may be older than the installed one.
    """
    if why := unread_reason(hand):
        raise Refusal("seal", f"{hand.name} is refused: {why}; {_MEND}")
    installed = state.hands.get(hand.name)
    return judge(state, hand.package, now, is_older=installed is not None and installed.folder != hand.folder)
