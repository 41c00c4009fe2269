"""Calls whose provider or kernel died before they had an end (pure): the end that they get instead.

Separate from state.py, which only says what entries mean.
"""

from collections.abc import Container, Iterable, Mapping

from msgspec.structs import replace

from manifests.budgets import Reservation, Reservations, paid_by, settled_in_full
from manifests.calls import OpenCall
from manifests.ledger import cost_of
from manifests.lives import OUTCOME_UNKNOWN
from manifests.state import WORK, State
from manifests.unfinished import Open
from wire.entries import Said
from wire.headers import Cancelled, Failed
from wire.ids import KERNEL


def unended(state: State, going_on: Container[str]) -> list[Said]:
    """The end entries of calls that an earlier kernel left open, except those of runs that resume.

    What was reserved for one counts as spent, as nobody knows its cost. Later calls come first: so each ends before the call
    it was made for.
    """
    works = {unfinished.work for run, unfinished in state.unfinished.items() if run in going_on}
    on_tapes = {number for number, call in state.open.items() if call.run in going_on and call.method != WORK}
    ended = {number: call for number, call in state.open.items() if number not in works | on_tapes}
    return unmade(ended, "the kernel ended before it")


def as_spent(
    opens: Iterable[tuple[int, Open]], reservations: Mapping[int, Reservation], *, is_begun: bool = False
) -> dict[int, Open]:  # fmt: skip
    """Open calls by their numbers, with what calls made for them have spent by now, as their reservations tell.

    is_begun: any of them may be at its provider soon, since their run resumes.
    """
    found = {number: replace(call, is_begun=is_begun or call.is_begun) for number, call in opens}
    for number in found.keys() & reservations.keys():
        found[number] = replace(found[number], inner=reservations[number].inner)
    return found


def waited(opens: Iterable[tuple[int, Open]]) -> dict[str, object]:
    """For the detail of a `run.left` entry: which of a run's open calls never reached their providers, if any."""
    numbers = [number for number, call in opens if not call.is_begun]
    return {"waited": numbers} if numbers else {}


def lose(reservations: Reservations, reserved: Mapping[int, Reservation], opens: Iterable[tuple[int, Open]]) -> None:
    """Settle what open calls reserve that nobody comes back to: it is spent, but for those that never began."""
    unbegun = {number for number, call in opens if not call.is_begun}
    for number, reservation in reserved.items():
        if number in unbegun:
            reservations.close(reservation)
        else:
            reservations.spend(reservation, reservation.unspent)


def at_death(call: OpenCall, provider: str, why: str, *, may_repeat: bool) -> tuple[str, str] | None:
    """The code and text of Failed for a call that was open at a provider which died; None if it is delivered again.

    why: may be in the provider's own words, which only the operator is to see.
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
    """The end entries of open calls whose callers are gone, too."""
    reserved = {number: call for number, call in opens.items() if call.most is not None and call.is_begun}
    costs = settled_in_full(
        {number: call.inner if call.method == WORK else call.most or (0, 0) for number, call in reserved.items()},
        {number: call.within for number, call in reserved.items()},
        {number: call.inner for number, call in reserved.items()},
    )
    ends: list[Said] = []
    for number, call in sorted(opens.items(), reverse=True):
        said: Said = {
            "principal": KERNEL, "call": number, "method": call.method, "resource": call.resource, "run": call.run,
            "parent": call.parent, "labels": call.labels, "verdict": "failed" if call.is_begun else "cancelled", "why": why,
        }  # fmt: skip
        if number in costs and call.method != WORK:
            said["cost"], said["detail"] = cost_of(costs[number]), paid_by(call.payers, call.within)
        ends.append(said)
    return ends


def unheard(number: int, call: Open, why: str, time: int) -> Failed | Cancelled:
    """The end of an open call that its caller does not make again. number: the caller's; time: the kernel's clock."""
    if call.is_begun:
        return Failed(number=number, code=OUTCOME_UNKNOWN, text=why, time=time)
    return Cancelled(number=number, why=why, time=time)


def overdue(method: str) -> str:
    """What is said of a call that was not over at its deadline, and of a run's work which limit that is."""
    whose = ": [limits] wall, or less where its caller gave less" if method == WORK else ""
    return f"{method} did not end within its time{whose}"
