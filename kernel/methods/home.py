"""The operator's home: what is installed, and changes of it (acts on what manifests/changes.py decides)."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernel.methods.request import Method, Request, method
from manifests import paying
from manifests.changes import CHANGES, Asked
from manifests.glance import hand_rows
from manifests.holding import current_rules
from manifests.settings import hide_secrets
from wire.ids import ID_BYTES, hand_id

if TYPE_CHECKING:
    from kernel.core import Kernel

CHANGED: Final = "kernel.methods"
"""The event published when methods or grants may have changed. It does not say which, or whose."""


def _hands(request: Request) -> object:
    """List the installed Hands with their states."""
    state, now, shown_state = request.kernel.state, request.kernel.time(), request.kernel.supervisor.shown_state
    return {"hands": [{**row, "state": shown_state(state.hands[str(row["name"])])} for row in hand_rows(state, now)]}


def _show(request: Request) -> object:
    """Show a Hand in full: its record, kept versions, grants, settings (secrets hidden), and a live run's confinement."""
    kernel, hand = request.kernel, request.hand()
    live = next((run for run in kernel.runs.values() if run.hand.id == hand.id), None)
    return {
        "hand": hand,
        "kept": [old for old in kernel.state.kept.values() if old.id == hand.id],
        "state": kernel.supervisor.shown_state(hand),
        **paying.hand_report(kernel.budgets.reservations, kernel.state, hand.id, kernel.time()),
        "grants": kernel.state.grants.get(hand.id, ()),
        "settings": hide_secrets(hand.package.manifest.settings, kernel.settings_of(hand)),
        "confinement": live.applied if live else (),
        "lacking": live.missing if live else (),
    }


def _home(request: Request) -> object:
    """Show grants by Hand, standing rules, roots and trusted keys."""
    state = request.kernel.state
    grants = {hand.name: state.grants.get(hand.id, ()) for hand in state.hands.values()}
    return {
        "grants": grants,
        "rules": current_rules(state, request.kernel.time()),
        "roots": state.roots,
        "keys": state.trust.keys,
    }


def _secrets(kernel: "Kernel", hand: str) -> dict[str, object]:
    """Return a Hand's secrets, changes included that are not written yet."""
    return kernel.unwritten_secrets[hand] if hand in kernel.unwritten_secrets else kernel.home.secrets(hand)


def _change(request: Request) -> object:
    """Decide on a change, stop the Hand that it replaces, record it, and apply it to running Hands.

    Secrets are written when the entry is on disk, and the call is answered then.
    """
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
        write = partial(_write_secrets, request, decided.hand, decided.secrets, decided.told)
        kernel.log.after(kernel.log.size - 1, write)
        return None
    waiting = _apply(request, decided.hand)
    return {**decided.told, "upgraded": before is not None, "waiting": waiting}


def _write_secrets(request: Request, hand: str, secrets: dict[str, object], reply: object) -> None:
    """Write a Hand's secrets, whose entry is on disk, send the settings to its runs, and answer."""
    kernel = request.kernel
    try:
        kernel.home.keep_secrets(hand, secrets)
    except OSError as error:
        kernel.exchange.fail(request.call, "disk", f"the secrets could not be kept: {error.strerror}")
    else:
        _apply(request, hand)
        kernel.answer(request.call, reply)
    if kernel.unwritten_secrets.get(hand) is secrets:
        del kernel.unwritten_secrets[hand]


def _apply(request: Request, hand_id: str) -> int:
    """Apply a recorded change to running Hands. Returns how many unfinished runs wait for the operator's decision then."""
    kernel = request.kernel
    match request.call.method.removeprefix("kernel."):
        case "install" | "remove":
            kernel.index_methods()
            kernel.events.emit(CHANGED, {})
            kernel.supervisor.services.start_wanted()
            kernel.supervisor.services.forget_removed()
            kernel.upgrading.remove_unneeded()
            return kernel.upgrading.on_upgrade(hand_id)
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
