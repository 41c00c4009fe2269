"""`maniple plans` (acts)."""

from typing import Final

import click
from msgspec import Struct

from kernel.cli import memories, replies, screen
from kernel.cli.frame import Session, command
from kernel.cli.usage_errors import WholeNumber

MARKS: Final = {"todo": "[ ]", "doing": "[>]", "done": "[x]", "skipped": "[-]", "failed": "[!]"}

_MOST: Final = 500
"""Most lists in one reply of plan.all."""


class _Step(Struct, frozen=True, kw_only=True):
    text: str
    state: str
    note: str


class _Plan(Struct, frozen=True, kw_only=True):
    """A row of plan.all."""

    namespace: str
    name: str
    title: str
    steps: tuple[_Step, ...]
    done: int
    total: int
    changed: str


class _All(Struct, frozen=True, kw_only=True):
    """The reply of plan.all."""

    plans: tuple[_Plan, ...]
    more: bool
    problems: tuple[str, ...] = ()


@command()
@click.option(
    "-n",
    "--most",
    metavar="N",
    type=WholeNumber(1, _MOST),
    default=10,
    help=f"The last N, at most {_MOST}; default 10.",
)
def plans(session: Session, most: int) -> None:
    """List the to-do lists that Hands keep, the last changed first."""
    with session.client() as client:
        reply = client.call("plan.all", "", {"most": most}).value
        names = {} if session.json else memories.names_by_namespace(client)
    found = replies.read(reply, _All)
    owners = [memories.describe(one.namespace, names) for one in found.plans]
    for problem in found.problems:
        session.say(screen.visible(problem))
    session.result(reply, lambda: "\n\n".join(map(_drawn, found.plans, owners)), nothing="No Hand keeps a list yet.")


def _drawn(plan: _Plan, owners: str) -> str:
    shown = screen.visible(plan.title or plan.name)
    lines = [f"{shown}  {plan.done} of {plan.total}, {screen.moment(plan.changed)}, {owners}, {plan.name!r}"]
    for number, step in enumerate(plan.steps, 1):
        note = f"  ({screen.visible(step.note)})" if step.note else ""
        lines.append(f"  {MARKS.get(step.state, '[?]')} {number}. {screen.visible(step.text)}{note}")
    return "\n".join(lines)
