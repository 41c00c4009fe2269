"""`maniple answer` (acts)."""

import click

from kernel.cli import answering, named_files, screen
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NotDone
from kernel.cli.frame import Session, command
from wire import codec


@command()
@click.argument("held", metavar="ID")
@click.argument("text", metavar="TEXT")
@click.option("--why", metavar="TEXT", default="", help="A remark, for the log.")
@click.option("--key", metavar="FILE", type=named_files.PATH, help="Sign with this key, instead of the home's own.")
def answer(session: Session, held: str, text: str, why: str, key: str | None) -> None:
    """Answer a question that `maniple questions` lists; the Hand that asked goes on with it.

    The answer is signed with your sealing key, and the log keeps it: as a denial of the Hand's call, and a call of your
    own in its place, whose reply goes to the Hand.
    """
    number = answering.parse_number(held, "question", "questions")
    with session.client() as client:
        signer = answering.sealing_key(session, key)
        first = _fetch_question(client, number)
        given, (_, choices) = answering.arguments(first), answering.question_of(first)
        if first.method != answering.QUESTION or not isinstance(given, dict):
            raise Ended(
                f"call {number} is not a question: answer it with `maniple approve {number}` or `maniple deny {number}`"
            )
        if choices and text not in choices:
            shown = ", ".join(map(screen.visible, choices))
            raise Ended(f"{text!r} is none of the choices of question {number}: {shown}", Exit.USAGE)
        body = codec.encode_body({**given, "answer": text})
        answers = answering.answer(client, signer, answering.calls_like(client, number), "edited", why=why, body=body)
    session.result(
        {"answers": answers},
        lambda: "\n".join(f"Question {one.call} is answered: entry {one.entry}." for one in answers),
    )


def _fetch_question(client: Client, number: int) -> answering.FullCall:
    try:
        return answering.fetch_full(client, number)
    except NotDone as error:
        if error.reason != "gone":
            raise
        raise Ended(
            f"question {number} does not wait for an answer, or no longer does: see `maniple questions`"
        ) from None
