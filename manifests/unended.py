"""The ends of calls that nobody lived to give (pure): what the next kernel writes into the log for them.

Separate from state.py, which only says what entries mean.
"""

from collections.abc import Container

from manifests.budgets import lost, paid_by
from manifests.ledger import cost_of
from manifests.state import WORK, State
from manifests.unfinished import Open
from wire.entries import Said
from wire.ids import KERNEL


def unended(state: State, going_on: Container[str]) -> list[Said]:
    """The ends of the calls that had none when the kernel that carried them ended; but for those of runs that go on.

    What was reserved for one is counted as spent: nobody can tell what it has cost. Later calls come first, so that those
    made for another do.
    """
    works = {one.work for run, one in state.unfinished.items() if run in going_on}
    ended = {number: one for number, one in state.open.items() if one.run not in going_on and number not in works}
    return unmade(ended, "the kernel ended before it")


def unmade(opens: dict[int, Open], why: str) -> list[Said]:
    """The ends of open calls that nobody is left to hear of."""
    reserved = {number: one for number, one in opens.items() if one.most is not None}
    costs = lost(
        {number: one.inner if one.method == WORK else one.most or (0, 0) for number, one in reserved.items()},
        {number: one.within for number, one in reserved.items()},
        {number: one.inner for number, one in reserved.items()},
    )
    ends: list[Said] = []
    for number, one in sorted(opens.items(), reverse=True):
        said: Said = {
            "principal": KERNEL, "call": number, "method": one.method, "resource": one.resource, "run": one.run,
            "parent": one.parent, "labels": one.labels, "verdict": "failed", "why": why,
        }  # fmt: skip
        if number in costs and one.method != WORK:
            said["cost"], said["detail"] = cost_of(costs[number]), paid_by(one.payers, one.within)
        ends.append(said)
    return ends
