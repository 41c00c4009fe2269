"""`maniple decide` (acts)."""

import click
from msgspec import Struct

from kernel.cli import replies
from kernel.cli.frame import Session, command, hand_or_run_names
from manifests.upgrades import DECISIONS


class _Decided(Struct, frozen=True):
    run: str
    goes_on_as: str


class _Answer(Struct, frozen=True):
    """The reply of kernel.decide."""

    runs: tuple[_Decided, ...]


@command()
@click.argument("run", metavar="RUN|HAND", shell_complete=hand_or_run_names)
@click.argument("how", metavar="finish|restart", type=click.Choice(DECISIONS))
def decide(session: Session, run: str, how: str) -> None:
    """Decide how an unfinished run continues after its code was upgraded; with HAND, all such runs of that Hand.

    finish: the run continues where it was, with the old code, which is checked as at any start.

    restart: a new run begins with the new code and the same inputs. What the old run has done is not undone, and may be
    done again. Whoever waits for the old run gets the result of the new one.

    Neither: `maniple cancel RUN`.
    """
    with session.client() as client:
        reply = client.call("kernel.decide", run, {"how": how}).value
    session.result(reply, lambda: "\n".join(_drawn(one, how) for one in replies.read(reply, _Answer).runs))


def _drawn(one: _Decided, how: str) -> str:
    if how == "finish":
        return f"{one.run} goes on."
    return f"{one.run} is begun anew {f'as {one.goes_on_as}' if one.goes_on_as != one.run else 'as soon as it may'}."
