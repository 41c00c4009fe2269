"""The operator's home: what is installed, and changes of it (acts on what manifests/changes.py decides)."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from kernel.methods.request import Method, Request, method
from manifests import paying
from manifests.changes import CHANGES, Asked, Decided
from manifests.glance import hand_rows
from manifests.holding import current_rules
from manifests.settings import hide_secrets
from wire.ids import ID_BYTES, hand_id

CHANGED: Final = "kernel.methods"
"""The event published when methods or grants may have changed. It does not say which, or whose."""


def _hands(request: Request) -> object:
    """List the installed Hands with their states."""
    state, now, shown_state = request.kernel.state, request.kernel.time(), request.kernel.supervisor.shown_state
    return {"hands": [{**row, "state": shown_state(state.hands[str(row["name"])])} for row in hand_rows(state, now)]}


def _show(request: Request) -> object:
    """Show a Hand in full: its record, kept versions, grants, settings (secrets hidden), and a process's confinement."""
    kernel, hand = request.kernel, request.hand()
    confined = next((run for run in kernel.runs.values() if run.hand.id == hand.id and run.applied), None)
    return {
        "hand": hand,
        "kept": [old for old in kernel.state.kept.values() if old.id == hand.id],
        "state": kernel.supervisor.shown_state(hand),
        **paying.hand_report(kernel.budgets.reservations, kernel.state, hand.id, kernel.time()),
        "grants": kernel.state.grants.get(hand.id, ()),
        "settings": hide_secrets(hand.package.manifest.settings, kernel.settings_of(hand)),
        "secrets": kernel.state.secrets_of(hand.id),
        "confinement": confined.applied if confined else (),
        "lacking": confined.missing if confined else (),
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


def _change(request: Request) -> object:
    """Decide on a change, stop the Hand that it replaces, record it, and apply it to running Hands.

    Secrets are written before, into a file that the entry names. The call is answered when the entry is on disk.
    """
    kernel, call = request.kernel, request.call
    asked = Asked(
        state=kernel.state, resource=call.resource, arguments=request.arguments, now=kernel.time(),
        home=os.path.realpath(kernel.home.path), new_id=hand_id(os.urandom(ID_BYTES)), load=kernel.home.load,
        methods=tuple(provided.method for provided in kernel.catalogue.all()),
        secrets=lambda hand: kernel.home.secrets(kernel.state.secrets_of(hand)),
        real=lambda path: os.path.realpath(path) if os.path.isdir(path) else "",
        mounts=lambda: Path("/proc/self/mountinfo").read_bytes().decode("utf-8", "surrogateescape"),
    )  # fmt: skip
    decided = CHANGES[call.method].decide(asked)
    before, old = kernel.state.by_id(decided.hand), kernel.state.secrets_of(decided.hand)
    if before is not None and call.method in ("kernel.install", "kernel.remove"):
        is_gone = call.method == "kernel.remove"
        why = "its Hand was removed" if is_gone else "its Hand is being replaced"
        kernel.supervisor.stop_hand(before, why, forget=is_gone, for_good=is_gone)
    if decided.secrets is not None:
        try:
            kernel.home.keep_secrets(str(decided.answer["file"]), decided.secrets)
        except OSError as error:
            with suppress(OSError):  # the next `maniple up` removes it
                os.unlink(kernel.home.at("keys", f"{decided.answer['file']}.new"))
            kernel.exchange.fail(call, "disk", f"the secrets could not be kept: {error.strerror}")
            return None
    for kind, detail in decided.entries:
        verdict = str(detail.get("state", ""))
        kernel.record(kind, principal=call.caller, call=call.number, verdict=verdict, detail=detail)
    if before is not None:
        kernel.supervisor.apply_grants(before)
    if decided.secrets is not None:
        kernel.log.after(kernel.log.size - 1, partial(_finish_secrets, request, decided, old))
        return None
    waiting = _apply(request, decided.hand)
    return {**decided.answer, "waiting": waiting} if call.method == "kernel.install" else decided.answer


def _finish_secrets(request: Request, decided: Decided, old: str) -> None:
    """Remove the file of the old secrets, send the settings to the Hand's runs, and answer: the entry is on disk."""
    with suppress(OSError):  # the next `maniple up` removes it
        os.unlink(request.kernel.home.at("keys", old))
    _apply(request, decided.hand)
    request.kernel.answer(request.call, decided.answer)


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
