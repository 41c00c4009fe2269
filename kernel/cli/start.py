"""`maniple start` (acts)."""

from collections.abc import Mapping

import click
from msgspec import Struct

from kernel.cli import bounding, installed, replies, spending, typed
from kernel.cli.client import Client
from kernel.cli.frame import Session, command, hand_argument
from kernel.cli.run_waiting import keep_run_on_interrupt, logs_hint, print_outcome, wait_for_run, wait_hint


class Started(Struct, frozen=True, kw_only=True):
    """The reply of kernel.start. state: only for a service."""

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
    given, bounds = typed.parse_words(words), spending.parse_most(most)
    with session.client() as client:
        given_inputs = typed.inputs(_input_types(client, hand) if given.texts else {}, given)
        at_most = bounding.most_of(client, bounds, hand)
        reply = client.call("kernel.start", hand, {"inputs": given_inputs}, seconds=120, most=at_most).value
        started = replies.read(reply, Started)
        if started.state:
            session.result(reply, lambda: started.run)
            session.say(f"{hand} is {started.state}.")
            return
        if not wait:
            session.result(reply, lambda: started.run)
            session.say(wait_hint(started.run))
            return
        with keep_run_on_interrupt(session, started.run):
            session.say(f"{started.run} of {hand} is under way.")
            outcome = replies.read(wait_for_run(session, client, started.run).value, replies.Outcome)
    print_outcome(session, outcome, next_command=logs_hint(hand, started.run))


def _input_types(client: Client, hand: str) -> Mapping[str, str]:
    """The types of a task's inputs, as far as its files declare them."""
    from kernel.cli import pipelines  # imported late: needed only for inputs given as text

    return pipelines.input_signature(client, installed.fetch_details(client, hand).hand).params or {}
