"""The ends of calls that nobody lived to give (pure): their provider died, or the kernel, and the next one gives them.

Separate from state.py, which only says what entries mean.
"""

from collections.abc import Container, Iterable, Mapping

from msgspec.structs import replace

from manifests.budgets import Bond, Bonds, paid_by, settled_in_full
from manifests.calls import OpenCall
from manifests.ledger import cost_of
from manifests.lives import OUTCOME_UNKNOWN
from manifests.state import WORK, State
from manifests.unfinished import Open
from wire.entries import Said
from wire.headers import Cancelled, Failed
from wire.ids import KERNEL


def unended(state: State, going_on: Container[str]) -> list[Said]:
    """The ends of the calls that had none when the kernel that carried them ended; but for those of runs that go on.

    What was reserved for one is counted as spent: nobody can tell what it has cost. Later calls come first, so that those
    made for another do.
    """
    works = {one.work for run, one in state.unfinished.items() if run in going_on}
    on_tapes = {number for number, one in state.open.items() if one.run in going_on and one.method != WORK}
    ended = {number: one for number, one in state.open.items() if number not in works | on_tapes}
    return unmade(ended, "the kernel ended before it")


def as_spent(
    opens: Iterable[tuple[int, Open]], bonds: Mapping[int, Bond], *, is_begun: bool = False
) -> dict[int, Open]:  # fmt: skip
    """Open calls by their numbers, with what others that were made for them have spent by now. bonds: what they reserve.

    is_begun: any of them may be at its provider soon, as their run goes on.
    """
    found = {number: replace(one, is_begun=is_begun or one.is_begun) for number, one in opens}
    for number in found.keys() & bonds.keys():
        found[number] = replace(found[number], inner=bonds[number].inner)
    return found


def waited(opens: Iterable[tuple[int, Open]]) -> dict[str, object]:
    """What `run.left` tells of the calls that a run had open: which never reached their providers, if there are such."""
    numbers = [number for number, one in opens if not one.is_begun]
    return {"waited": numbers} if numbers else {}


def lose(bonds: Bonds, reserved: Mapping[int, Bond], opens: Iterable[tuple[int, Open]]) -> None:
    """Settle what open calls reserve that nobody comes back to: it is spent, but for those that never began."""
    unbegun = {number for number, one in opens if not one.is_begun}
    for number, bond in reserved.items():
        if number in unbegun:
            bonds.close(bond)
        else:
            bonds.spend(bond, bond.unspent)


def at_death(call: OpenCall, provider: str, why: str, *, may_repeat: bool) -> tuple[str, str] | None:
    """How a call fails that was open at a provider which died: its code and text; None for one that is made again.

    why: maybe in the provider's own words, which are for its operator, as of lives.broken().
    """
    if call.crashes > 1:
        return "poison", f"{call.method} was open at two crashes of {provider}"
    if call.may_be_made_again and may_repeat:
        return None
    how = "run ended" if call.by.hand else f"run ended: {why}"
    if call.was_begun and call.has_effect and not call.provided.idempotent and call.route:
        return OUTCOME_UNKNOWN, f"{how}: look before you repeat {call.method}"
    return "ended", how


def unmade(opens: dict[int, Open], why: str) -> list[Said]:
    """The ends of open calls that nobody is left to hear of."""
    reserved = {number: one for number, one in opens.items() if one.most is not None and one.is_begun}
    costs = settled_in_full(
        {number: one.inner if one.method == WORK else one.most or (0, 0) for number, one in reserved.items()},
        {number: one.within for number, one in reserved.items()},
        {number: one.inner for number, one in reserved.items()},
    )
    ends: list[Said] = []
    for number, one in sorted(opens.items(), reverse=True):
        said: Said = {
            "principal": KERNEL, "call": number, "method": one.method, "resource": one.resource, "run": one.run,
            "parent": one.parent, "labels": one.labels, "verdict": "failed" if one.is_begun else "cancelled", "why": why,
        }  # fmt: skip
        if number in costs and one.method != WORK:
            said["cost"], said["detail"] = cost_of(costs[number]), paid_by(one.payers, one.within)
        ends.append(said)
    return ends


def unheard(number: int, one: Open, why: str, time: int) -> Failed | Cancelled:
    """What the caller of an open call hears that it does not come back to. number: its own; time: the kernel's clock."""
    if one.is_begun:
        return Failed(number=number, code=OUTCOME_UNKNOWN, text=why, time=time)
    return Cancelled(number=number, why=why, time=time)
