"""Shares what a run has left among the runs that it spawns at once (pure).

It keeps what reading their results takes: a run that had given all away would end with their work unread.
"""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from runtime.agent import tools
from runtime.agent.actions import MakeCall
from runtime.models.messages import Usage
from runtime.models.pricing import cost
from runtime.models.rows import Model

ANSWER: Final = 1_000
"""Tokens that are kept for results and the answer to them, beside those of the request before."""


def with_shares(calls: Sequence[MakeCall], left: tuple[int, int], counted: int, row: Model | None) -> list[MakeCall]:
    """Return the calls; each that spawns gets an equal share, of 1 at least.

    left: tokens and micro-dollars, 0 for a unit that is not bounded. counted: tokens of the last request. row: its model's.
    """
    number = max(1, sum(one.method == tools.SPAWN for one in calls))
    kept = counted + ANSWER, cost(Usage(input=counted, output=ANSWER), row) or 0
    tokens, money = (max(1, (of - own) // number) if of else 0 for of, own in zip(left, kept, strict=True))
    return [
        replace(one, tokens=tokens, micro_dollars=money, spawned_together=number) if one.method == tools.SPAWN else one
        for one in calls
    ]
