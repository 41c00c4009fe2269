"""`maniple approvals` (acts)."""

import time

from kernel.cli import agreement, answering, logbook, screen
from kernel.cli.answering import Caller, FullCall
from kernel.cli.frame import Session, command
from wire.entries import time_micros
from wire.ids import OPERATOR


@command()
def approvals(session: Session) -> None:
    """List the calls that wait for your yes or no: who calls what, with which arguments, and why you are asked.

    Calls that ask for the same are listed once, and answered together. Type `maniple approve ID` for yes, `maniple deny
    ID` for no. A call that nobody answers in time is refused.
    """
    with session.client() as client:
        waiting = answering.fetch_distinct(client)
        absent = answering.fetch_absent(client)
    done = _done_before(session, {one.method for one, _ in waiting})
    shown = [(one, count, (one.method, _without_query(one.statement.resource)) in done) for one, count in waiting]
    session.result(
        {"approvals": [_row(*each) for each in shown], "absent": absent},
        lambda: "\n\n".join(_drawn(session, *each) for each in shown),
        nothing="" if absent else "Nothing waits for your yes or no.",
    )
    answering.say_absent(session, absent)


def _row(one: FullCall, count: int, seen: bool) -> dict[str, object]:
    row = {name: getattr(one, name) for name in one.__struct_fields__ if name not in ("body", "instead", "like")}
    more = {
        "arguments": answering.arguments(one),
        "plain": answering.is_canonical(one),
        "calls": count,
        "seen_before": seen,
    }
    return row | more


def _done_before(session: Session, methods: set[str]) -> set[tuple[str, str]]:
    """Methods and resources of earlier calls of these methods that ended in done, by any caller, approved or not."""
    needles = [f'"method":"{method}"'.encode() for method in methods]
    return {
        (entry.method, _without_query(entry.resource))
        for entry in (logbook.entries(logbook.folder_of(session.home), needles=needles) if needles else ())
        if entry.kind == "end" and entry.verdict == "done"
    }


def _without_query(resource: str) -> str:
    """A URL without its query: the log has only a keyed digest of it, which differs between runs."""
    url, mark, _ = resource.partition("?")
    return url if mark and "://" in url else resource


def _caller(one: Caller) -> str:
    """Describe one call up the chain."""
    where = f", in run {one.principal}" if one.principal != one.hand else ""
    return (
        "you, who began it"
        if one.principal == OPERATOR
        else f"{screen.visible(one.hand)}, which called {one.method}{where}"
    )


def _drawn(session: Session, one: FullCall, count: int, seen: bool) -> str:
    now = time.time_ns() // 1000
    notes = [agreement.EFFECTS[one.effect]]
    if one.resource:
        other = "" if _without_query(one.resource) == one.resource else ", with this query or another"
        notes.append(f"done before on this resource{other}" if seen else "never done before on this resource")
    else:
        notes.append("done before" if seen else "never done before")
    notes.append(f"labels: {', '.join(one.labels)}" if one.labels else "carries no labels")
    body = screen.safe_json(answering.arguments_text(answering.arguments(one)))
    if not answering.is_canonical(one):
        notes.append(
            "its arguments are encoded in an unusual way, and its provider may read them otherwise than they are shown"
        )
    if one.upload:
        notes.append("what it uploads cannot be shown beforehand")
    return screen.fields(
        (
            ("id", f"{one.call}" + (f" and {count - 1} more that ask for the same" if count > 1 else "")),
            ("who", f"{screen.visible(one.hand)} {one.version}, run {one.run}"),
            ("for", "\n".join(_caller(up) for up in one.chain)),
            ("what", " ".join(filter(None, (one.method, screen.visible(one.resource))))),
            ("", screen.visible(one.summary)),
            ("arguments", body),
            ("why", "\n".join(screen.visible(reason.why) for reason in one.asks)),
            ("risk", "; ".join(notes)),
            ("since", f"{one.since} ({screen.ago(time_micros(one.since), now)})"),
            ("until", one.until),
            ("answer", session.hinted(answering.answer_hint(one))),
        )
    )
