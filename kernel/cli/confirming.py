"""Asks for confirmation before something is erased for ever (acts)."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from kernel.cli import screen
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import say


def confirm(question: str, command: str, *, yes: bool, done: str = "erased") -> None:
    """Ask, unless `yes`. Raises Ended if the answer is no, or if there is no terminal to ask at.

    command: the command line without --yes, for the hint. done: the participle in "nothing was …".
    """
    if yes:
        return
    if not screen.is_terminal(sys.stdin):
        raise Ended(f"nothing was {done}: there is no terminal to ask at; `{command} --yes` does not ask", Exit.USAGE)
    with broken_off(f"nothing was {done}"):
        if not click.confirm(screen.visible(question), default=False, err=True):
            raise Ended(f"nothing was {done}; --yes does not ask")


@contextmanager
def broken_off(told: str) -> Iterator[None]:
    """Within the block, Ctrl-C or Ctrl-D at a question ends its line, and says what did not happen."""
    try:
        yield
    except click.Abort:
        say(f"\nmaniple: {told}")
        raise
