"""What a run may ask about itself, and about other Hands as far as its grants reach."""

from typing import Final

from kernel.errors import Failure
from kernel.methods.request import Request, method
from manifests import paying
from manifests.calls import chain
from manifests.glance import hand_rows
from manifests.grants import GrantSet
from wire import codec, limits
from wire.errors import Refusal

PROGRESS_MOST: Final = 120
"""Characters of a run's progress text that are shown, so that a page of runs fits into one answer."""

ROWS_MOST: Final = 768 * limits.KIB
"""Bytes of methods in one answer, besides the first."""

ALLOWED: Final = {"allowed": True, "approval": False, "why": "", "grant": "", "code": ""}


def _check(request: Request) -> object:
    """Say how the kernel would decide on a call now. This is advice: the call itself is checked again."""
    found = request.kernel.router.check(
        request.peer, request.call.parent, request.text("method"), request.text("resource")
    )
    if isinstance(found, Refusal):
        why = found.bare if request.run else found.why
        return {**ALLOWED, "allowed": False, "why": why, "grant": found.grant, "code": found.code}
    return {**ALLOWED, "approval": bool(found), "why": "; ".join(reason.why for reason in found)}


def _grants(request: Request) -> list[GrantSet | None]:
    """Return the grants of the caller, and of those in whose name it calls."""
    return [link.by.grants for link in chain(request.call)]


def _describe(request: Request) -> object:
    """Describe a method, or all methods of a Hand, that the caller is granted: those after one, as many as fit."""
    wanted, name, after = request.text("method"), request.text("hand"), request.text("after")
    rows = request.kernel.catalogue.describe(_grants(request), wanted, name)
    if not rows:
        raise Failure("unknown", f"nothing that you are granted is called {wanted or name!r}")
    page, room = list[dict[str, object]](), ROWS_MOST
    for row in rows:
        if str(row["method"]) > after:
            if page and (room := room - len(codec.encode_body(row))) < 0:
                return {"methods": page, "more": True}
            page.append(row)
    return {"methods": page}


def _list(request: Request) -> object:
    """List the Hands whose methods the caller may call, and itself."""
    kernel, hands = request.kernel, request.kernel.state.hands
    seen = {kernel.catalogue.owner(provided.method) for provided in kernel.catalogue.visible(_grants(request))}
    names = sorted((seen | {request.call.by.name}) & set(hands))
    rows = hand_rows(kernel.state, kernel.time(), has_words=request.run is None)
    return {"hands": [row for row in rows if row["name"] in names]}


def _budget(request: Request) -> object:
    """Show what the run has spent, the most that a call of it may cost now, and how many calls it may make per minute."""
    kernel, run, rate = request.kernel, request.run, request.peer.rate.per_minute
    spent = (run.tokens, run.cost, run.calls) if run else (0, 0, 0)
    left = paying.call_bounds(kernel.budgets.reservations, kernel.state, request.call, kernel.time(), kernel.loop.now())
    return {"tokens": spent[0], "micro_dollars": spent[1], "calls": spent[2], "calls_per_minute": rate, **left}


def _settings(request: Request) -> object:
    return {"settings": request.kernel.settings_of(request.run.hand) if request.run else {}}


def _sleep(request: Request) -> object:
    """Answer after `milliseconds`, unless the caller's deadline comes first."""
    wait = request.arguments["milliseconds"]
    if not isinstance(wait, int) or not 0 <= wait <= limits.DEADLINE_MAX:
        raise Failure("arguments", f"milliseconds is 0 to {limits.DEADLINE_MAX}")
    kernel, call = request.kernel, request.call
    left = wait / 1000 - (kernel.time() - call.began) / 1_000_000  # it may have begun under an earlier kernel
    call.alarm_at = call.began + wait * 1000
    call.alarm = kernel.loop.after(max(0.0, min(left, wait / 1000)), lambda: kernel.answer(call, {}))
    kernel.exchange.sibling_changed(call)
    return None


def _note(request: Request) -> object:
    """Write a sentence, or the caller's progress, to the log."""
    run, text = request.run, request.text("text")[: limits.WHY_MAX]
    detail = {name: request.arguments[name] for name in ("done", "total") if request.arguments.get(name) is not None}
    if run is not None and detail:
        run.progress = {**detail, "text": text[:PROGRESS_MOST]}
    request.kernel.log.append("note", principal=request.call.caller, run=run.id if run else "", why=text, detail=detail)
    return {}


def _by_header(_: Request) -> object:
    raise Failure("arguments", "publishing and subscribing have headers of their own: Publish and Subscribe")


METHODS = (
    method("check", "Say whether a call would be allowed", _check, method="string", resource="string?"),
    method("describe", "Describe a method or a Hand", _describe, method="string?", hand="string?", after="string?"),
    method("list", "List the Hands that may be called", _list),
    method("budget", "Show what the run has spent, and has left", _budget),
    method("settings", "Show the Hand's settings", _settings),
    method("sleep", "Wait", _sleep, milliseconds="int"),
    method("note", "Write a sentence, or progress, to the log", _note, text="string", done="int?", total="int?"),
    method("publish", "Publish an event (by its own header)", _by_header, "name"),
    method("subscribe", "Receive an event (by its own header)", _by_header, "name"),
)
