"""What the operator changes in a home, and reads of it: Hands, grants, roots, settings, keys.

What may be changed is decided in manifests/changes.py; here it is recorded, which makes it true, and carried out.
"""

import os

from kernel.errors import Failure
from kernel.methods.request import Request, method
from manifests import changes
from manifests.changes import Detail
from manifests.settings import shown
from manifests.state import described
from wire import codec
from wire.ids import ID_BYTES, hand_id


def _record(request: Request, kind: str, detail: Detail) -> Detail:
    request.kernel.record(kind, principal=request.call.caller, call=request.call.number, detail=detail)
    return detail


def _hands(request: Request) -> object:
    """What is installed, and the state it is in now."""
    kernel = request.kernel
    state = kernel.supervisor.shown_state
    return {"hands": [{**row, "state": state(kernel.state.hands[str(row["name"])])} for row in described(kernel.state)]}


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
    """Grants by Hand, roots, trusted keys and what is paused, as the log says they are."""
    state = request.kernel.state
    return {
        "grants": {hand.name: state.grants.get(hand.id, ()) for hand in state.hands.values()},
        "roots": state.roots,
        "keys": state.trust.keys,
    }


def _install(request: Request) -> object:
    """Install, or upgrade, a Hand whose folder lies in the home already, with the grants the operator agreed to."""
    kernel, folder = request.kernel, request.text("folder")
    if os.path.basename(folder) != folder or folder.startswith("."):
        raise Failure("arguments", "folder is the name of a folder in the home's hands/")
    package = kernel.home.load(folder)
    before = kernel.state.hands.get(package.manifest.hand.name)
    detail = changes.install(kernel.state, package, folder, hand_id(os.urandom(ID_BYTES)), kernel.time())
    methods = [*(one.method for one in kernel.catalogue.all()), *package.manifest.provides]
    grants = changes.grant(package, str(detail["hand"]), request.arguments.get("grants") or [], methods)
    if before is not None:
        kernel.supervisor.unwant(before, "it is being replaced", forget=False)
    _record(request, "hand.install", detail)
    if grants["capabilities"]:
        _record(request, "grant", grants)
    kernel.index()
    installed = kernel.state.hands[package.manifest.hand.name]
    if package.manifest.hand.autostart and not kernel.state.frozen:
        kernel.record_state(installed, "wanted")
    kernel.supervisor.services.start_wanted()
    return {**detail, "upgraded": before is not None}


def _remove(request: Request) -> object:
    kernel, hand = request.kernel, request.hand()
    detail = changes.remove(kernel.state, hand)
    kernel.supervisor.unwant(hand, "it is being removed")
    _record(request, "hand.remove", detail)
    kernel.index()
    return {**detail, "folder": hand.folder}


def _grant(request: Request) -> object:
    kernel, hand = request.kernel, request.hand()
    methods = [one.method for one in kernel.catalogue.all()]
    detail = _record(request, "grant", changes.grant(hand.package, hand.id, request.arguments["capabilities"], methods))
    kernel.supervisor.regrant(hand)
    return detail


def _revoke(request: Request) -> object:
    """Take capabilities back, at once: by method, and by patterns when some are named."""
    kernel, hand = request.kernel, request.hand()
    gone, back = changes.revoke(kernel.state, hand, request.text("method"), request.names("allow"))
    _record(request, "revoke", gone)
    if back is not None:
        _record(request, "grant", back)
    kernel.supervisor.regrant(hand)
    return {**gone, "left": back["capabilities"] if back else []}


def _add_root(request: Request) -> object:
    kernel, path = request.kernel, request.text("path")
    if not os.path.isabs(path) or not os.path.isdir(path):
        raise Failure("arguments", f"{path!r} is not a folder with an absolute path")
    home = os.path.realpath(kernel.home.path)
    detail = _record(request, "root.add", changes.root(request.call.resource, os.path.realpath(path), home))
    kernel.supervisor.reroot()
    return detail


def _remove_root(request: Request) -> object:
    kernel, name = request.kernel, request.call.resource
    if name not in kernel.state.roots:
        raise Failure("unknown root", f"there is no root {name!r}: see `maniple roots`")
    detail = _record(request, "root.remove", {"name": name})
    kernel.supervisor.reroot()
    return detail


def _set(request: Request) -> object:
    """Change settings: all of them are right, or none is changed. A live Hand gets them at once."""
    kernel, hand, given = request.kernel, request.hand(), request.arguments["values"]
    if not isinstance(given, dict):
        raise Failure("arguments", "values is a table of name and value")
    secrets = kernel.home.secrets(hand.id)
    typed = bool(request.arguments.get("typed"))
    detail, hidden = changes.change_settings(kernel.state, hand, secrets, given, typed=typed)
    if hidden != secrets:
        kernel.home.keep_secrets(hand.id, hidden)
    _record(request, "settings", detail)
    values = kernel.settings_of(hand)
    for run in kernel.runs.values():
        if run.hand.id == hand.id and run.peer is not None:
            kernel.events.give(run.peer, "kernel.settings", (), codec.encode_body(values))
    return {"name": hand.name, "settings": shown(hand.package.manifest.settings, values)}


def _add_key(request: Request) -> object:
    return _record(request, "key.add", changes.add_key(request.kernel.state, request.arguments, request.kernel.time()))


def _rotate_key(request: Request) -> object:
    kernel = request.kernel
    old, new = changes.rotate_key(kernel.state, request.call.resource, request.text("key"), kernel.time())
    _record(request, "key.revoke", old)
    kernel.supervisor.stop_untrusted()
    return _record(request, "key.add", new)


def _revoke_key(request: Request) -> object:
    """Trust a key no more, for ever: what it sealed stops now and does not start again."""
    kernel = request.kernel
    detail = _record(request, "key.revoke", changes.revoke_key(kernel.state, request.call.resource, kernel.time()))
    return {**detail, "stopped": kernel.supervisor.stop_untrusted()}


METHODS = (
    method("hands", "What is installed", _hands),
    method("show", "One Hand in full", _show, "name"),
    method("home", "Grants, roots and keys", _home),
    method("install", "Install a Hand", _install, "none", "write", folder="string", grants="list?"),
    method("remove", "Remove a Hand", _remove, "name", "write"),
    method("grant", "Give a Hand capabilities", _grant, "name", "write", capabilities="list"),
    method("revoke", "Take capabilities back", _revoke, "name", "write", method="string", allow="list?"),
    method("root-add", "Name a folder", _add_root, "name", "write", path="string"),
    method("root-remove", "Take a named folder back", _remove_root, "name", "write"),
    method("set", "Change a Hand's settings", _set, "name", "write", values="dict", typed="bool?"),
    method(
        "key-add", "Trust a key", _add_key, "none", "write", key="string", hands="list", most="list?", expires="int?"
    ),
    method("key-rotate", "Replace a key", _rotate_key, "name", "write", key="string"),
    method("key-revoke", "Trust a key no more", _revoke_key, "name", "write"),
)
