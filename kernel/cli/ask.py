"""`maniple ask` (acts)."""

import click

from kernel.cli import asking, bounding, spending, standard_input
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command, hand_names
from kernel.cli.run_waiting import raise_unless_done


@command()
@click.argument("words", metavar="QUESTION...", nargs=-1, required=True)
@click.option(
    "--hand", metavar="HAND", default=asking.DEFAULT, shell_complete=hand_names, help="Which Hand; default `assistant`."
)
@click.option(
    "--file", "files", metavar="PATH", multiple=True, help="A text or picture to send with it; may be repeated."
)
@click.option("--most", metavar="KEY=AMOUNT", multiple=True, help="What it may cost: tokens=2000, dollars=0.05.")
def ask(session: Session, words: tuple[str, ...], hand: str, files: tuple[str, ...], most: tuple[str, ...]) -> None:
    """Ask a Hand that thinks, or give it a task, and print its answer: `maniple ask "what is in data/weather.csv?"`.

    A QUESTION of - is read from stdin. Calls that wait for your yes are shown meanwhile. `maniple run-show RUN` shows
    what the Hand did. Each question stands alone; `maniple chat` is a conversation.

    Ends with 1 if the run failed, with 4 if it was refused.
    """
    text = standard_input.read_text("the question") if words == ("-",) else " ".join(words)
    question, bounds = asking.with_files(text, files), spending.parse_most(most)
    if not question.text.strip():
        raise Ended("the question is empty", Exit.USAGE)
    with session.client() as client:
        asking.check_answers(client, hand)
        _, ended = asking.ask(session, client, hand, question, most=bounding.most_of(client, bounds, hand))
    if ended.outcome == "done" or session.json:
        session.result(ended, lambda: asking.text_of(asking.read_answer(ended).answer))
    raise_unless_done(ended, asking.next_command(hand, ended))
