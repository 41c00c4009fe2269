"""The operator's home: what is in it, and the changes of manifests/changes.py, each decided there, recorded, carried out."""

import os
from pathlib import Path

from kernel.methods.request import Method, Request, method
from manifests.changes import CHANGES, Asked
from manifests.settings import shown
from manifests.state import described
from wire import codec
from wire.ids import ID_BYTES, hand_id


def _hands(request: Request) -> object:
    """What is installed, and the state it is in now."""
    state, hands = request.kernel.supervisor.shown_state, request.kernel.state.hands
    return {"hands": [{**row, "state": state(hands[str(row["name"])])} for row in described(request.kernel.state)]}


def _show(request: Request) -> object:
    """One Hand in full: its record as it is, its grants, its settings (secrets hidden) and its live confinement."""
    kernel, hand = request.kernel, request.hand()
    return {
        "hand": hand,
        "state": kernel.supervisor.shown_state(hand),
        "grants": kernel.state.grants.get(hand.id, ()),
        "settings": shown(hand.package.manifest.settings, kernel.settings_of(hand)),
        "confinement": next((run.applied for run in kernel.runs.values() if run.hand.id == hand.id), ()),
    }


def _home(request: Request) -> object:
    """Grants by Hand, roots and trusted keys, as the log says they are."""
    state = request.kernel.state
    grants = {hand.name: state.grants.get(hand.id, ()) for hand in state.hands.values()}
    return {"grants": grants, "roots": state.roots, "keys": state.trust.keys}


def _change(request: Request) -> object:
    """Decide, keep secrets, stop what is replaced, record, and let what lives follow."""
    kernel, call = request.kernel, request.call
    asked = Asked(
        state=kernel.state, resource=call.resource, arguments=request.arguments, now=kernel.time(),
        home=os.path.realpath(kernel.home.path), new_id=hand_id(os.urandom(ID_BYTES)), load=kernel.home.load,
        methods=tuple(one.method for one in kernel.catalogue.all()), secrets=kernel.home.secrets,
        real=lambda path: os.path.realpath(path) if os.path.isdir(path) else "",
        mounts=lambda: Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape"),
    )  # fmt: skip
    decided = CHANGES[call.method].decide(asked)
    if decided.secrets is not None:
        kernel.home.keep_secrets(decided.hand, decided.secrets)
    before = kernel.state.by_id(decided.hand)
    if before is not None and call.method in ("kernel.install", "kernel.remove"):
        kernel.supervisor.unwant(before, "it is being replaced", forget=call.method == "kernel.remove")
    for kind, detail in decided.entries:
        verdict = str(detail.get("state", ""))
        kernel.record(kind, principal=call.caller, call=call.number, verdict=verdict, detail=detail)
    if before is not None:
        kernel.supervisor.regrant(before)
    _follow(request, decided.hand)
    return {**decided.entries[0][1], "upgraded": before is not None}


def _follow(request: Request, hand_id: str) -> None:
    """What a change means for Hands that live."""
    kernel, hand = request.kernel, request.kernel.state.by_id(hand_id)
    match request.call.method.removeprefix("kernel."):
        case "install" | "remove":
            kernel.index()
            kernel.supervisor.services.start_wanted()
        case "root-add" | "root-remove":
            kernel.supervisor.reroot()
        case "key-rotate" | "key-revoke":
            kernel.supervisor.stop_untrusted()
        case "set" if hand is not None:
            body = codec.encode_body(kernel.settings_of(hand))
            for run in kernel.runs.values():
                if run.hand.id == hand_id and run.peer is not None:
                    kernel.events.give(run.peer, "kernel.settings", (), body)


METHODS = (
    method("hands", "What is installed", _hands),
    method("show", "One Hand in full", _show, "name"),
    method("home", "Grants, roots and keys", _home),
    *(Method(provided=change.provided, act=_change) for change in CHANGES.values()),
)
