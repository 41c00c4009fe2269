"""`maniple start` (acts)."""

from collections.abc import Mapping

import click
from msgspec import Struct

from kernel.cli import installed, replies, spending, typed
from kernel.cli.client import Client
from kernel.cli.frame import Session, command, hand_argument
from kernel.cli.run_waiting import left_alone, logs_of, result, under_way, waited


class Started(Struct, frozen=True, kw_only=True):
    """kernel.start: the run; state only for a service."""

    run: str
    state: str = ""


@command()
@hand_argument
@click.argument("words", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--wait", is_flag=True, help="Wait for the run to end, and print its result.")
@click.option("--most", metavar="KEY=AMOUNT", multiple=True, help="What the run may cost: tokens=2000, dollars=0.05.")
def start(session: Session, hand: str, words: tuple[str, ...], wait: bool, most: tuple[str, ...]) -> None:
    """Start a run of a task Hand, with its inputs, or start a service. Prints the run's id.

    key=value is text, or of the type that its `run` declares for that parameter: int, float, bool, list or dict. key:=JSON
    is any value: `maniple start data-pipeline spec=data/load.toml`.

    A service becomes wanted: it stays up and starts with the kernel. One that is up already is left as it is. A
    quarantined Hand gets another chance.

    With --wait, ends with 1 if the run failed, with 4 if it was refused. Ctrl-C ends the waiting, not the run.
    """
    given, at_most = typed.words(words), spending.most(most)
    with session.client() as client:
        given_inputs = typed.inputs(_takes(client, hand) if given.texts else {}, given)
        reply = client.call("kernel.start", hand, {"inputs": given_inputs}, seconds=120, most=at_most).value
        begun = replies.read(reply, Started)
        if begun.state:
            session.result(reply, lambda: f"{begun.run}  {hand} is {begun.state}")
            return
        if not wait:
            session.result(reply, lambda: begun.run)
            session.say(under_way(begun.run))
            return
        with left_alone(session, begun.run):
            session.say(f"{begun.run} of {hand} is under way.")
            outcome = replies.read(waited(session, client, begun.run).value, replies.Outcome)
    result(session, outcome, look=logs_of(hand, begun.run))


def _takes(client: Client, hand: str) -> Mapping[str, str]:
    """The types of what a task's work takes; those that its files do not tell are missing."""
    from kernel.cli import pipelines  # only who gives a text waits for it

    return pipelines.signature(client, installed.shown(client, hand).hand).params or {}
