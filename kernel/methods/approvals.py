"""Calls that wait for the operator, and the operator's answers to them, decided in manifests/approvals.py."""

from msgspec.structs import replace

from kernel.methods.request import Request, method
from manifests.approvals import check_rule, denied, detail, judge, told_of
from manifests.calls import OpenCall, chain
from manifests.changes import judge_installed
from manifests.lives import passes
from manifests.policy import Link, logged
from wire.approval import Answer, Statement
from wire.entries import body_digest, time_text
from wire.errors import Refusal
from wire.ids import OPERATOR


def _approvals(request: Request) -> object:
    """Every held call; of one that is named also its arguments, and what its answer has to say of it.

    body: other arguments, of which the answer gives the digest.
    """
    held, number, body = (
        request.kernel.exchange.held(shown=True),
        request.arguments.get("call"),
        request.arguments.get("body"),
    )
    if number is None:
        return {"approvals": [_row(request, call, held) for call in held]}
    call = _held(request, number)
    statement, told = _statement(request, call), _row(request, call, held)
    if isinstance(body, bytes):
        told["instead"] = body_digest(request.kernel.digest_key(call.caller), body)
    return {**told, "body": call.body, "statement": statement}


def _held(request: Request, number: object) -> OpenCall:
    call = next((one for one in request.kernel.exchange.held(shown=True) if one.number == number), None)
    if call is None:
        raise Refusal("gone", f"call {number} does not wait for approval, or not any more: see `maniple approvals`")
    return call


def _statement(request: Request, call: OpenCall) -> Statement:
    key, hand = request.kernel.digest_key(call.caller), request.kernel.runs[call.caller].hand
    return Statement(
        origin=request.kernel.home.identity.origin, call=call.number, hand=hand.id, seal=hand.seal, method=call.method,
        resource=logged(call.resource, key), arguments=body_digest(key, call.body), verdict="approved", time=0,
    )  # fmt: skip


def _row(request: Request, call: OpenCall, held: list[OpenCall]) -> dict[str, object]:
    run, links = request.kernel.runs[call.caller], chain(call.parent)
    like = (one.number for one in held if _what(one) == _what(call))
    return {
        "call": call.number,
        "like": next(like),
        "run": run.id,
        "hand": run.name,
        "version": run.hand.version,
        "chain": [{"principal": one.caller, "hand": one.by.name, "method": one.method} for one in links],
        "method": call.method,
        "resource": call.resource,
        "effect": call.provided.effect,
        "summary": call.provided.summary,
        "labels": call.shown_labels(),
        "size": len(call.body),
        "upload": call.upload,
        "asks": told_of(call.asks),
        "since": time_text(call.began),
        "until": time_text(call.until),
        "entry": call.seq,
    }


def _what(call: OpenCall) -> tuple[str, str, str, bytes]:
    return call.by.hand, call.method, call.resource, call.body


def _answer(request: Request) -> object:
    """Check an answer, look once more whether the call may be made, record the answer, and let the call go on or end."""
    kernel, given = request.kernel, request.arguments["answer"]
    answer = Answer.read(given if isinstance(given, dict) else {})
    said, call = answer.statement, _held(request, answer.statement.call)
    hand, body = kernel.runs[call.caller].hand, request.arguments.get("body")
    held = replace(_statement(request, call), verdict=said.verdict, time=said.time, why=said.why, rule=said.rule)
    if said.verdict == "edited" and isinstance(body, bytes):
        held = replace(held, instead=body_digest(kernel.digest_key(call.caller), body))
    judge(kernel.state.trust, answer, held, [hand.name, *(reason.name for reason in call.asks)], kernel.time())
    check_rule(answer, call.asks, kernel.state, call.resource, kernel.time())
    if said.verdict != "denied":
        try:
            kernel.router.again(call, hand)
            judge_installed(kernel.state, hand, kernel.time())
        except Refusal as refusal:
            if refusal.code != "log" and not passes(refusal.code):  # else it waits on, and may be answered later
                kernel.exchange.refuse(call, refusal)
            raise
    own = _own(request, call, body) if said.verdict == "edited" else None
    told = detail(answer, call.asks, own.number if own else 0)
    seq = kernel.record(
        "approval", principal=request.call.caller, run=call.caller, verdict=said.verdict, why=said.why, call=call.number,
        detail=told,
    )  # fmt: skip
    if own is not None:
        kernel.exchange.edit(call, own)
    elif said.verdict == "approved":
        kernel.exchange.approve(call, seq)
    else:
        kernel.exchange.refuse(call, denied(said.why))
    return {"call": call.number, "verdict": said.verdict, "entry": seq, "instead": own.number if own else 0}


def _own(request: Request, call: OpenCall, body: object) -> OpenCall:
    """The operator's own call instead of a held one."""
    if not isinstance(body, bytes):
        raise Refusal("edit", "the other arguments are missing")
    if call.method.startswith("kernel.") or call.upload:
        raise Refusal("edit", f"{call.method} cannot be called instead: deny it, then call it yourself")
    kernel, by = request.kernel, Link(hand="", name=OPERATOR, grants=None)
    own = OpenCall(
        kernel.next_call(), OPERATOR, by, b"-", 0, provided=call.provided, resource=call.resource, body=body, parent=None,
        deadline=kernel.loop.now() + call.left, labels=call.labels, most=call.most, upload=False,
    )  # fmt: skip
    own.heir = call
    return own


METHODS = (
    method("approvals", "The calls that wait for the operator", _approvals, call="int?", body="bytes?"),
    method("answer", "Say yes or no to one of them", _answer, "none", "write", answer="dict", body="bytes?"),
)
