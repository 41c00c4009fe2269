"""`maniple approve` (acts)."""

import time

import click

from kernel.cli import answering, call, named_files, screen, typed
from kernel.cli.answering import AnswerReply, FullCall
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NotDone
from kernel.cli.frame import Session, command
from kernel.cli.usage_errors import WholeNumber
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
    """Approve a call that waits, and those that ask for the same: each is made once, exactly as `maniple approvals` shows it.

    With --rule, calls like it are not asked about again for a while, and those that wait already are approved too.
    `maniple grants` lists the rule, and `maniple revoke` removes it. With --with, the Hand's call is denied and you
    make it with other arguments; the Hand gets the reply.

    The answer is signed with your sealing key, and the log keeps it.
    """
    if (on or days) and not rule:
        raise Ended("--on and --days are for --rule", Exit.USAGE)
    if rule and words:
        raise Ended("--rule approves calls as they are, --with makes another call: give only one of them", Exit.USAGE)
    number = answering.parse_number(held)
    with session.client() as client:
        signer = answering.sealing_key(session, key)
        calls = answering.calls_like(client, number)
        first = answering.fetch_full(client, calls[0])
        _check_choice(first, words)
        rule_given = None
        if words:
            body = _changed_arguments(client, first, words)
            given = answering.answer(client, signer, calls, "edited", why=why, body=body)
        else:
            rule_given = (
                RuleSaid(pattern=on or _exact_pattern(first), until=_expiry(days or RULE_DAYS)) if rule else None
            )
            given = answering.answer(client, signer, calls[:1], "approved", why=why, rule=rule_given)
            given += answering.answer(client, signer, calls[1:], "approved", why=why)
            given += _approve_covered(client, signer, first, rule_given) if rule_given else []
    session.result(
        {"answers": given}, lambda: "\n".join([*(_line(one, first) for one in given), *_rule_lines(first, rule_given)])
    )


def _check_choice(one: FullCall, words: tuple[str, ...]) -> None:
    """Raise Ended if the answer is not one of a question's choices: the call would fail, and the question be used up."""
    _, choices = answering.question_of(one) if one.method == answering.QUESTION else ("", [])
    given = typed.parse_words(words)
    answer = given.texts.get("answer") or given.values.get("answer") or answering.prefilled_answer(one) or "yes"
    if choices and answer not in choices:
        why = f"call {one.call} is a question, and {answer!r} is none of its choices"
        raise Ended(f"{why}: `maniple answer {one.call} TEXT`", Exit.USAGE)


def _approve_covered(client: Client, signer: SigningKey, first: FullCall, rule: RuleSaid) -> list[AnswerReply]:
    """Approve the other held calls that the rule covers, each with an answer of its own, signed and logged."""
    given, why = list[AnswerReply](), f"by the rule of call {first.call}"
    for number in answering.calls_covered_by(client, first, rule):
        try:
            given += answering.answer(client, signer, [number], "approved", why=why)
        except NotDone as error:
            if error.reason != "gone":  # answered or cancelled meanwhile
                raise
    return given


def _expiry(days: int) -> int:
    return time.time_ns() // 1000 + days * 86_400_000_000


def _exact_pattern(one: FullCall) -> str:
    """The pattern that covers only this call's resource. Raises Ended if the log may hold no such pattern."""
    if not one.resource:
        return "*"
    if "*" in one.resource or one.statement.resource != one.resource:
        raise Ended("no rule can name this very resource: give a pattern that covers it, with --on", Exit.USAGE)
    return one.resource


def _changed_arguments(client: Client, one: FullCall, words: tuple[str, ...]) -> bytes:
    """Encode the call's arguments with the typed words replacing those of the same name."""
    described = call.fetch_method(client, one.method)
    before = answering.arguments(one)
    if not isinstance(before, dict):
        raise Ended(
            "its arguments are not a table, so --with cannot change one of them: deny the call instead", Exit.USAGE
        )
    given = typed.parse_words(words)
    kept = {name: value for name, value in before.items() if name not in given.names}
    wanted = typed.Arguments(texts=given.texts, values=kept | given.values)
    return codec.encode_body(typed.arguments(described.params, wanted, see=f"maniple methods {one.method}"))


def _rule_lines(one: FullCall, rule: RuleSaid | None) -> list[str]:
    if rule is None:
        return []
    until = screen.moment(time_text(rule.until))
    on = f"{one.method} on {rule.pattern}" if one.resource else one.method
    return [f"You are not asked again when {one.hand} calls {on}, whatever the arguments, until {until}."]


def _line(given: AnswerReply, one: FullCall) -> str:
    what = " ".join(filter(None, (one.method, given.resource)))
    if given.instead:
        return f"Call {given.call} is denied, and you call {what} instead as call {given.instead}: entry {given.entry}."
    return f"Call {given.call} is approved: {one.hand} may {what}, once: entry {given.entry}."
