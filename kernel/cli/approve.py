"""`maniple approve` (acts)."""

import time

import click

from kernel.cli import answering, call, named_files, screen, typed
from kernel.cli.answering import Given, Whole
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NotDone
from kernel.cli.frame import Session, command
from kernel.cli.usage_errors import Whole as WholeNumber
from manifests.approvals import RULE_DAYS, RULE_DAYS_MOST
from wire import codec
from wire.approval import RuleSaid
from wire.entries import time_text
from wire.signing import SigningKey


@command()
@click.argument("held", metavar="ID")
@click.option("--rule", is_flag=True, help="Do not ask again for this Hand, method and resource.")
@click.option("--on", metavar="PATTERN", help="With --rule: for every resource that the pattern covers.")
@click.option(
    "--days",
    metavar="N",
    type=WholeNumber(1, RULE_DAYS_MOST),
    help=f"With --rule: for N days, at most {RULE_DAYS_MOST}; default {RULE_DAYS}.",
)
@click.option(
    "--with", "words", metavar="KEY=VALUE", multiple=True, help="Make the call yourself, with this argument changed."
)
@click.option("--why", metavar="TEXT", default="", help="A reason, for the log.")
@click.option("--key", metavar="FILE", type=named_files.PATH, help="Sign with this key, instead of the home's own.")
def approve(
    session: Session, held: str, rule: bool, on: str | None, days: int | None, words: tuple[str, ...], why: str,
    key: str | None,
) -> None:  # fmt: skip
    """Approve a call that waits: it is made once, exactly as `maniple approvals` shows it.

    With --rule, calls like it are not asked about again for a while, and those that wait already are approved too.
    `maniple grants` lists the rule, and `maniple revoke` removes it. With --with, the Hand's call is denied and you
    make it with other arguments; the Hand gets the reply.

    The answer is signed with your sealing key, and the log keeps it.
    """
    if (on or days) and not rule:
        raise Ended("--on and --days are for --rule", Exit.USAGE)
    if rule and words:
        raise Ended("--rule approves calls as they are, --with makes another call: give only one of them", Exit.USAGE)
    number = answering.number(held)
    with session.client() as client:
        signer = answering.sealing_key(session, key)
        calls = answering.like(client, number)
        first = answering.whole(client, calls[0])
        _check_choice(first, words)
        said = None
        if words:
            body = _changed(client, first, words)
            given = answering.answer(client, signer, calls, "edited", why=why, body=body)
        else:
            said = RuleSaid(pattern=on or _exact(first), until=_until(days or RULE_DAYS)) if rule else None
            given = answering.answer(client, signer, calls[:1], "approved", why=why, rule=said)
            given += answering.answer(client, signer, calls[1:], "approved", why=why)
            given += _by_rule(client, signer, first, said) if said else []
    session.result(
        {"answers": given}, lambda: "\n".join([*(_line(one, first) for one in given), *_spared(first, said)])
    )


def _check_choice(one: Whole, words: tuple[str, ...]) -> None:
    """Raises Ended for an answer that is none of a question's choices: it would fail, and the question be used up."""
    _, choices = answering.asked(one) if one.method == answering.QUESTION else ("", [])
    given = typed.words(words)
    said = given.texts.get("answer") or given.values.get("answer") or answering.filled_in(one) or "yes"
    if choices and said not in choices:
        why = f"call {one.call} is a question, and {said!r} is none of its choices"
        raise Ended(f"{why}: `maniple answer {one.call} TEXT`", Exit.USAGE)


def _by_rule(client: Client, signer: SigningKey, first: Whole, rule: RuleSaid) -> list[Given]:
    """Say yes to what else waits and the rule covers; each answer is one of its own, signed and logged."""
    given, why = list[Given](), f"by the rule of call {first.call}"
    for number in answering.covered(client, first, rule):
        try:
            given += answering.answer(client, signer, [number], "approved", why=why)
        except NotDone as error:
            if error.reason != "gone":  # answered or taken back since
                raise
    return given


def _until(days: int) -> int:
    return time.time_ns() // 1000 + days * 86_400_000_000


def _exact(one: Whole) -> str:
    """The pattern that covers this very resource. Raises Ended where there is none that the log may hold."""
    if not one.resource:
        return "*"
    if "*" in one.resource or one.statement.resource != one.resource:
        raise Ended("no rule can name this very resource: give a pattern that covers it, with --on", Exit.USAGE)
    return one.resource


def _changed(client: Client, one: Whole, words: tuple[str, ...]) -> bytes:
    """The arguments with what was given in the place of what was asked for."""
    described = call.described(client, one.method)
    before = answering.arguments(one)
    if not isinstance(before, dict):
        raise Ended(
            "its arguments are not a table, so --with cannot change one of them: deny the call instead", Exit.USAGE
        )
    given = typed.words(words)
    kept = {name: value for name, value in before.items() if name not in given.names}
    return codec.encode_body(
        typed.arguments(described.params, typed.Words(texts=given.texts, values=kept | given.values))
    )


def _spared(one: Whole, rule: RuleSaid | None) -> list[str]:
    if rule is None:
        return []
    until = screen.moment(time_text(rule.until))
    on = f"{one.method} on {rule.pattern}" if one.resource else one.method
    return [f"You are not asked again when {one.hand} calls {on}, whatever the arguments, until {until}."]


def _line(given: Given, one: Whole) -> str:
    what = " ".join(filter(None, (one.method, given.resource)))
    if given.instead:
        return f"Call {given.call} is denied, and you call {what} instead as call {given.instead}: entry {given.entry}."
    return f"Call {given.call} is approved: {one.hand} may {what}, once: entry {given.entry}."
