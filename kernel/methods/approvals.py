"""Calls that wait for the operator's approval, and the answers to them (acts on what manifests/approvals.py decides)."""

from typing import TYPE_CHECKING, Final

from kernel.methods.request import Request, method
from kernel.methods.runs import state_of
from kernel.runs import Run
from manifests.approvals import answer_detail, check_answer, check_rule, denied_refusal
from manifests.calls import OpenCall
from manifests.holding import LISTED, held_row, listed_after, names_to_seal, replacement, statement_of, with_answer
from manifests.judging import judge_installed
from manifests.lives import is_temporary
from manifests.waiting import AWAITS_DECISION
from wire.approval import Answer
from wire.entries import body_digest
from wire.errors import Refusal

if TYPE_CHECKING:
    from kernel.core import Kernel

REMEDIES: Final = {
    "frozen": "`maniple thaw` lets it go on",
    "paused": "`maniple resume {}` lets it go on",
    AWAITS_DECISION: "`maniple decide {} finish` lets it go on",
}
"""The command that lets a run go on, by the run's state."""


def _approvals(request: Request) -> object:
    """List at most LISTED held calls, after a number. For one `call`: also its arguments, and the statement that its answer
    signs.

    absent, in the reply: at most LISTED held calls whose runs have not resumed since the kernel started, with these runs'
    states. body: other arguments; the reply has their digest.
    """
    kernel, number, body = request.kernel, request.arguments.get("call"), request.arguments.get("body")
    held = kernel.exchange.held_calls(is_durable=True)
    if number is None:
        listed = listed_after(held, request.arguments.get("after"))
        rows = [held_row(call, held, kernel.runs[call.caller].hand) for call in listed]
        away = sorted(absent_callers(kernel).items())[:LISTED]
        shown = [{"call": one, "hand": run.name, "run": run.id, "state": state_of(request, run)} for one, run in away]
        return {"approvals": rows, "absent": shown}
    call = _find_held(request, number)
    key, hand, origin = kernel.digest_key(call.caller), kernel.runs[call.caller].hand, kernel.home.identity.origin
    reply = {**held_row(call, held, hand), "body": call.body, "statement": statement_of(call, key, origin, hand)}
    return {**reply, "instead": body_digest(key, body)} if isinstance(body, bytes) else reply


def absent_callers(kernel: "Kernel") -> dict[int, Run]:
    """Return the runs that have a held call and have not resumed since the kernel started, by the call's number."""
    tapes = ((run, run.tape) for run in kernel.runs.values() if run.tape is not None)
    return {number: run for run, tape in tapes for number, left in tape.pending.values() if left.answer == "held"}


def _find_held(request: Request, number: object) -> OpenCall:
    call = next((call for call in request.kernel.exchange.held_calls(is_durable=True) if call.number == number), None)
    if call is None:
        if isinstance(number, int) and (run := absent_callers(request.kernel).get(number)):
            how = REMEDIES.get(state := state_of(request, run), "try again").format(run.name)
            why = f"call {number} still waits, but its run has not resumed since the kernel started ({state}): {how}"
            raise Refusal("not yet", why)
        raise Refusal("gone", f"call {number} does not wait for approval, or not any more: see `maniple approvals`")
    return call


def _answer(request: Request) -> object:
    """Check an answer, check again whether the call is allowed, record the answer, and deliver or refuse the call."""
    kernel, raw, sent = request.kernel, request.arguments["answer"], request.arguments.get("body")
    answer, body = Answer.read(raw if isinstance(raw, dict) else {}), sent if isinstance(sent, bytes) else None
    signed, call, now = answer.statement, _find_held(request, answer.statement.call), kernel.time()
    key, hand = kernel.digest_key(call.caller), kernel.runs[call.caller].hand
    held = with_answer(statement_of(call, key, kernel.home.identity.origin, hand), answer, body, key)
    check_answer(kernel.state.trust, answer, held, names_to_seal(hand, call.asks), now)
    check_rule(answer, call.asks, kernel.state, call.resource, now)
    if signed.verdict != "denied":
        try:
            kernel.router.decide_again(call, hand)
            judge_installed(kernel.state, hand, now)
        except Refusal as refusal:
            if refusal.code != "log" and not is_temporary(refusal.code):  # else the call waits for a later answer
                kernel.exchange.refuse(call, refusal)
            raise
    is_edited = signed.verdict == "edited"
    own = replacement(call, kernel.next_call(), body, kernel.loop.now()) if is_edited else None
    entry = answer_detail(answer, call.asks, own.number if own else 0)
    seq = kernel.record(
        "approval", principal=request.call.caller, run=call.caller, call=call.number, verdict=signed.verdict, why=signed.why,
        detail=entry,
    )  # fmt: skip
    if signed.verdict == "denied":
        kernel.exchange.refuse(call, denied_refusal(signed.why))
    else:
        kernel.exchange.release(call, seq, own)
    return {"call": call.number, "verdict": signed.verdict, "entry": seq, "instead": own.number if own else 0}


METHODS = (
    method("approvals", "List calls that wait for the operator", _approvals, call="int?", after="int?", body="bytes?"),
    method("answer", "Answer a call that waits", _answer, "none", "write", answer="dict", body="bytes?"),
)
