"""`maniple tell` (acts)."""

import time
from typing import Final

import click

from kernel.cli import live_runs, replies, rights
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command, run_argument
from manifests.grants import covers

SAID: Final = "said"
"""The name of the operator's event that Hands with [agent] receive (runtime/agent/hand.py); EVENT is its full name."""

EVENT: Final = f"operator.{SAID}"
LISTEN_S: Final = 10.0
"""Seconds within which a run that has just begun must subscribe to it."""

_FIRST_POLL_S: Final = 0.05
"""Seconds until the second poll; the pause then doubles, up to one second."""


@command()
@run_argument
@click.argument("words", metavar="WORDS...", nargs=-1)
@click.option("--stop", is_flag=True, help="End it now, with its work so far; WORDS say why.")
def tell(session: Session, run: str, words: tuple[str, ...], stop: bool) -> None:
    """Send a message to a Hand that thinks, while it works: it reads it at its next step, or answers it before it ends.

    It hears you if its HAND.toml has `[events] subscribes = ["operator.said"]`, as the bundled `assistant` has. If the
    run has only just begun, this waits until it hears. `maniple wait RUN` prints its result, or its work so far after
    --stop; `maniple run-show RUN` shows what it did. `maniple cancel RUN` ends it without its work so far.
    """
    text = " ".join(words)
    if not text.strip() and not stop:
        raise Ended("there is no message: write it after the run's id", Exit.USAGE)
    with session.client() as client:
        found = _live(client, run)
        held = replies.read(client.call("kernel.home").value, rights.Home).grants.get(found.hand, ())
        if not any(covers(one, "kernel.subscribe", EVENT) for one in held):
            raise Ended(
                f'{found.hand} does not hear you while it works: its HAND.toml needs `[events] subscribes = ["{EVENT}"]`, '
                f"and it the grant, `maniple grant {found.hand} kernel.subscribe {EVENT}`"
            )
        wait_until_listening(client, run)
        client.publish(SAID, {"run": run, "text": text, "stop": stop})
    session.result({"run": run, "text": text, "stop": stop}, lambda: f"Sent to {run}.")


def wait_until_listening(client: Client, run: str, seconds: float = LISTEN_S) -> None:
    """Wait until a run has subscribed to the operator's messages: earlier ones would be lost. Ended after `seconds`."""
    until, pause = time.monotonic() + seconds, _FIRST_POLL_S
    while EVENT not in _live(client, run).hears:
        if time.monotonic() > until:
            raise Ended(
                f"{run} does not hear you yet, and was told nothing: `maniple run-show {run}` shows what it does; say it "
                "again when it works"
            )
        time.sleep(pause)
        pause = min(1.0, 2 * pause)


def _live(client: Client, run: str) -> replies.LiveRun:
    found = live_runs.find(client, run)
    if found is None:
        raise Ended(f"no run {run} is live: see `maniple ps`")
    return found
