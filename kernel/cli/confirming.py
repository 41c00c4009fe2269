"""Before something is gone for ever, whoever typed it is asked once more (acts)."""

import sys

import click

from kernel.cli import screen
from kernel.cli.exits import Ended, Exit


def confirm(question: str, command: str, *, yes: bool, done: str = "erased") -> None:
    """Ask, unless `yes` was given. Raises Ended, with nothing done, for a no, and where there is no terminal to ask at.

    command: what was typed, without its --yes. done: what was not done then.
    """
    if yes:
        return
    if not screen.is_terminal(sys.stdin):
        raise Ended(f"nothing was {done}: there is no terminal to ask at; `{command} --yes` does not ask", Exit.USAGE)
    if not click.confirm(screen.visible(question), default=False, err=True):
        raise Ended(f"nothing was {done}; --yes does not ask")
