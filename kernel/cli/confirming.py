"""Asks for confirmation before something is erased for ever (acts)."""

import sys

import click

from kernel.cli import screen
from kernel.cli.exits import Ended, Exit


def confirm(question: str, command: str, *, yes: bool, done: str = "erased") -> None:
    """Ask, unless `yes`. Raises Ended if the answer is no, or if there is no terminal to ask at.

    command: the command line without --yes, for the hint. done: the participle in "nothing was …".
    """
    if yes:
        return
    if not screen.is_terminal(sys.stdin):
        raise Ended(f"nothing was {done}: there is no terminal to ask at; `{command} --yes` does not ask", Exit.USAGE)
    if not click.confirm(screen.visible(question), default=False, err=True):
        raise Ended(f"nothing was {done}; --yes does not ask")
