"""Calls whose provider, caller or kernel died before their end (pure): the end that they get instead.

Separate from state.py, which only applies entries.
"""

from collections.abc import Container, Iterable, Mapping

from msgspec.structs import replace

from manifests.budgets import Reservation, Reservations, full_costs, payers_detail
from manifests.calls import OpenCall
from manifests.ledger import cost_of
from manifests.lives import OUTCOME_UNKNOWN
from manifests.state import State
from manifests.unfinished import WORK, Open
from wire.entries import Said
from wire.headers import Cancelled, Failed
from wire.ids import KERNEL


def ends_after_crash(state: State, going_on: Container[str]) -> list[Said]:
    """Return the end entries of calls that an earlier kernel left open, except those of runs that resume.

    The reservation of such a call counts as spent, since its cost is unknown. Later calls come first, so each ends before
    the call it was made for. going_on: the runs that resume.
    """
    works = {unfinished.work for run, unfinished in state.unfinished.items() if run in going_on}
    on_tapes = {number for number, call in state.open.items() if call.run in going_on and call.method != WORK}
    ended = {number: call for number, call in state.open.items() if number not in works | on_tapes}
    return end_entries(ended, "the kernel ended before it")


def with_spent(
    opens: Iterable[tuple[int, Open]], reservations: Mapping[int, Reservation], *, is_begun: bool = False
) -> dict[int, Open]:  # fmt: skip
    """Return open calls by number, each with `inner` updated from its reservation.

    is_begun: mark all as begun, since their run resumes and they may reach their providers.
    """
    found = {number: replace(call, is_begun=is_begun or call.is_begun) for number, call in opens}
    for number in found.keys() & reservations.keys():
        found[number] = replace(found[number], inner=reservations[number].inner)
    return found


def waited(opens: Iterable[tuple[int, Open]]) -> dict[str, object]:
    """Return the detail for a `run.left` entry: which of a run's open calls never reached their providers, if any."""
    numbers = [number for number, call in opens if not call.is_begun]
    return {"waited": numbers} if numbers else {}


def settle_lost(
    reservations: Reservations, reserved: Mapping[int, Reservation], opens: Iterable[tuple[int, Open]]
) -> None:
    """Settle the reservations of calls that nobody will resume: spent, except of calls that never began."""
    unbegun = {number for number, call in opens if not call.is_begun}
    for number, reservation in reserved.items():
        if number in unbegun:
            reservations.close(reservation)
        else:
            reservations.spend(reservation, reservation.unspent)


def failure_at_death(call: OpenCall, provider: str, why: str, *, may_repeat: bool) -> tuple[str, str] | None:
    """Return code and text of Failed for a call that was open at a provider that died; None to deliver it again.

    why: may contain the provider's own words, which only the operator may see.
    """
    if call.crashes > 1:
        return "poison", f"{call.method} was open at two crashes of {provider}"
    if call.may_be_made_again and may_repeat:
        return None
    how = "run ended" if call.by.hand else f"run ended: {why}"
    if call.was_begun and call.has_effect and not call.provided.idempotent and call.route:
        return OUTCOME_UNKNOWN, f"{how}: look before you repeat {call.method}"
    return "ended", how


def end_entries(opens: dict[int, Open], why: str) -> list[Said]:
    """Return the end entries of open calls whose callers are gone, too, later calls first."""
    reserved = {number: call for number, call in opens.items() if call.most is not None and call.is_begun}
    costs = full_costs(
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
            said["cost"], said["detail"] = cost_of(costs[number]), payers_detail(call.payers, call.within)
        ends.append(said)
    return ends


def end_if_unmade(number: int, call: Open, why: str, time: int) -> Failed | Cancelled:
    """Return the end of an open call that its resumed caller did not make again. number: the caller's; time: kernel's."""
    if call.is_begun:
        return Failed(number=number, code=OUTCOME_UNKNOWN, text=why, time=time)
    return Cancelled(number=number, why=why, time=time)


def deadline_text(method: str) -> str:
    """Return the text of Failed(deadline): for a run's work, it names the limit."""
    whose = ": [limits] wall, or less where its caller gave less" if method == WORK else ""
    return f"{method} did not end within its time{whose}"
