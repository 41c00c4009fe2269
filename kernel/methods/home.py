"""The operator's home: what is in it, and the changes of manifests/changes.py, each decided there, recorded, carried out."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernel.methods.request import Method, Request, method
from manifests import paying
from manifests.changes import CHANGES, Asked
from manifests.glance import described
from manifests.holding import rules
from manifests.settings import shown
from wire.ids import ID_BYTES, hand_id

if TYPE_CHECKING:
    from kernel.core import Kernel

CHANGED: Final = "kernel.methods"
"""The event that tells that what can be called may have changed, for somebody: it says nothing of what, or whose."""


def _hands(request: Request) -> object:
    """What is installed, and the state it is in now."""
    state, now, shown_state = request.kernel.state, request.kernel.time(), request.kernel.supervisor.shown_state
    return {"hands": [{**row, "state": shown_state(state.hands[str(row["name"])])} for row in described(state, now)]}


def _show(request: Request) -> object:
    """One Hand in full: its record, what is kept of it, its grants, its settings (secrets hidden) and live confinement."""
    kernel, hand = request.kernel, request.hand()
    live = next((run for run in kernel.runs.values() if run.hand.id == hand.id), None)
    return {
        "hand": hand,
        "kept": [old for old in kernel.state.kept.values() if old.id == hand.id],
        "state": kernel.supervisor.shown_state(hand),
        **paying.of_hand(kernel.budgets.reservations, kernel.state, hand.id, kernel.time()),
        "grants": kernel.state.grants.get(hand.id, ()),
        "settings": shown(hand.package.manifest.settings, kernel.settings_of(hand)),
        "confinement": live.applied if live else (),
        "lacking": live.missing if live else (),
    }


def _home(request: Request) -> object:
    """Grants and rules by Hand, roots and trusted keys, as the log says they are."""
    state = request.kernel.state
    grants = {hand.name: state.grants.get(hand.id, ()) for hand in state.hands.values()}
    return {
        "grants": grants,
        "rules": rules(state, request.kernel.time()),
        "roots": state.roots,
        "keys": state.trust.keys,
    }


def _secrets(kernel: "Kernel", hand: str) -> dict[str, object]:
    """A Hand's secrets as they will be when all that was asked for is kept."""
    return kernel.unwritten_secrets[hand] if hand in kernel.unwritten_secrets else kernel.home.secrets(hand)


def _change(request: Request) -> object:
    """Decide, stop what is replaced, record, keep secrets once that is on disk, and let what lives follow."""
    kernel, call = request.kernel, request.call
    asked = Asked(
        state=kernel.state, resource=call.resource, arguments=request.arguments, now=kernel.time(),
        home=os.path.realpath(kernel.home.path), new_id=hand_id(os.urandom(ID_BYTES)), load=kernel.home.load,
        methods=tuple(provided.method for provided in kernel.catalogue.all()), secrets=partial(_secrets, kernel),
        real=lambda path: os.path.realpath(path) if os.path.isdir(path) else "",
        mounts=lambda: Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape"),
    )  # fmt: skip
    decided = CHANGES[call.method].decide(asked)
    before = kernel.state.by_id(decided.hand)
    if before is not None and call.method in ("kernel.install", "kernel.remove"):
        is_gone = call.method == "kernel.remove"
        why = "its Hand was removed" if is_gone else "its Hand is being replaced"
        kernel.supervisor.stop_hand(before, why, forget=is_gone, for_good=is_gone)
    for kind, detail in decided.entries:
        verdict = str(detail.get("state", ""))
        kernel.record(kind, principal=call.caller, call=call.number, verdict=verdict, detail=detail)
    if before is not None:
        kernel.supervisor.apply_grants(before)
    if decided.secrets is not None:
        kernel.unwritten_secrets[decided.hand] = decided.secrets
        carry_out = partial(_keep_secrets, request, decided.hand, decided.secrets, decided.told)
        kernel.log.after(kernel.log.size - 1, carry_out)
        return None
    waiting = _follow(request, decided.hand)
    return {**decided.told, "upgraded": before is not None, "waiting": waiting}


def _keep_secrets(request: Request, hand: str, secrets: dict[str, object], told: object) -> None:
    """Their entry is on disk: write them, tell them to what lives, and answer."""
    kernel = request.kernel
    try:
        kernel.home.keep_secrets(hand, secrets)
    except OSError as error:
        kernel.exchange.fail(request.call, "disk", f"the secrets could not be kept: {error.strerror}")
    else:
        _follow(request, hand)
        kernel.answer(request.call, told)
    if kernel.unwritten_secrets.get(hand) is secrets:
        del kernel.unwritten_secrets[hand]


def _follow(request: Request, hand_id: str) -> int:
    """What a change means for Hands that live; how many unfinished runs wait for a decision then."""
    kernel = request.kernel
    match request.call.method.removeprefix("kernel."):
        case "install" | "remove":
            kernel.index_methods()
            kernel.events.emit(CHANGED, {})
            kernel.supervisor.services.start_wanted()
            kernel.supervisor.services.forget_removed()
            kernel.upgrading.tidy()
            return kernel.upgrading.upgraded(hand_id)
        case "grant" | "revoke":
            kernel.events.emit(CHANGED, {})
        case "root-add" | "root-remove" as verb:
            kernel.supervisor.apply_roots(at_once=verb == "root-remove")
        case "key-rotate" | "key-revoke":
            kernel.supervisor.stop_untrusted()
        case "set":
            kernel.supervisor.send_settings(hand_id)
    return 0


METHODS = (
    method("hands", "List what is installed", _hands),
    method("show", "Show one Hand in full", _show, "name"),
    method("home", "Show grants, roots and keys", _home),
    *(Method(provided=change.provided, act=_change) for change in CHANGES.values()),
)
