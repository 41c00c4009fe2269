"""Texts that describe a Hand, its requests and its methods to the person who decides on an install (pure)."""

from collections.abc import Iterable, Mapping
from typing import Final

from manifests.budgets import UNITS, allowances, format_amount
from manifests.grants import GrantSet, exceeding, reaches, requested
from manifests.ledger import sum_of
from manifests.schedule_words import describe
from manifests.schema import Budget, Capability, Confinement, Manifest, Provided, Schedule
from manifests.versions import is_older
from wire.entries import time_text

KINDS: Final = {
    "task": "a task: a process of its own for each run",
    "service": "a service: stays up while it is used",
}
AUTONOMY: Final = {
    "readonly": "may only read",
    "supervised": "waits for your yes before it acts beyond this machine",
    "full": "does not ask before it acts",
}
STARTS_SHOWN: Final = 3
EFFECTS: Final = {
    "read": "changes nothing",
    "write": "changes this machine",
    "external": "acts beyond this machine",
}


def new_requests(manifest: Manifest, before: Manifest | None) -> tuple[Capability, ...]:
    """The capabilities that a manifest asks for and its previous version did not; all of them for a new Hand."""
    wanted = requested(manifest)
    return wanted if before is None else exceeding(wanted, GrantSet.of(requested(before)))


def describe_hand(manifest: Manifest, before: Manifest | None, now: int) -> list[str]:
    """Lines on what the Hand is and how it runs; for an upgrade, only what changed. now: milliseconds since the epoch."""
    hand = manifest.hand
    lines = [f"{hand.name} {hand.version}: {hand.description}"]
    if before is not None:
        is_back = is_older(hand.version, before.hand.version)
        lines[0] += f" ({'an older version than' if is_back else 'an upgrade of'} {before.hand.version})"
    if before is None or (before.hand.kind, before.hand.autonomy) != (hand.kind, hand.autonomy):
        lines.append(f"It is {KINDS[hand.kind]}, and {AUTONOMY[hand.autonomy]}.")
    if hand.wasm and not (before and before.hand.wasm):
        lines.append("It is a WebAssembly module: it can do nothing but call, within its fuel and memory.")
    if hand.autostart and not (before and before.hand.autostart):
        lines.append("It starts with the kernel, and stays up.")
    if manifest.schedule is not None and manifest.schedule != (before and before.schedule):
        lines.append(f"It starts by itself: {describe(manifest.schedule)}{_first_starts(manifest.schedule, now)}.")
    if hand.pipeline and not (before and before.hand.pipeline):
        lines.append("It is a pipeline: it only begins runs of other Hands, which act in its name.")
    if manifest.agent and manifest.agent.model != (before and before.agent and before.agent.model):
        lines.append(
            f"It thinks with the model {manifest.agent.model}, which chooses what to do with all that it is granted."
        )
    if hand.command and not (before and before.hand.command == hand.command):
        lines.append(f"It is a program of its own: {' '.join(hand.command)}.")
    if manifest.budget != (before.budget if before else Budget()):
        allowed = [format_amount(UNITS[place], one.amount, one.window) for place, one in allowances(manifest.budget)]
        lines.append(f"It spends at most {', '.join(allowed)}." if allowed else "It no longer has a budget.")
    lines += beyond_others(manifest.confinement, before.confinement if before else Confinement())
    return lines


def _first_starts(schedule: Schedule, now: int) -> str:
    """A clause with the first STARTS_SHOWN starts if installed now, without jitter, which a Hand gets at its install."""
    from manifests.firings import Plan

    plan, after = Plan(schedule, since=now, seed=""), now
    moments: list[str] = []
    while len(moments) < STARTS_SHOWN and (found := plan.next(after)) is not None:
        after = found
        moments.append(time_text(found * 1000)[:19].replace("T", " "))
    if not moments:
        return "" if schedule.on else "; that time is over"
    return f"; first at {', '.join(moments)} UTC"


def beyond_others(asked: Confinement, before: Confinement) -> list[str]:
    """Lines on what this Hand may use of the machine beyond what every Hand may, and what it had not asked for `before`."""
    read = [path for path in asked.outside_read if path not in before.outside_read]
    lines = [f"It reads {', '.join(read)} of this machine."] if read else []
    if asked.roots and not before.roots:
        lines.append("Every named folder (`maniple roots`) is opened for it.")
    if asked.programs and not before.programs:
        lines.append("It starts programs from this machine's system folders.")
    if asked.scratch == "caller" and before.scratch != "caller":
        lines.append("It works in the scratch folder of whoever calls it.")
    if asked.network == "host" and before.network != "host":
        lines.append("It uses this machine's network: only its own code decides what it connects to.")
    return lines


def request_rows(wanted: Iterable[Capability], effects: Mapping[str, str], autonomy: str) -> list[tuple[str, str, str]]:
    """A row for each capability: method, resources, and what it does. effects: of all methods that exist."""
    rows = []
    for one in wanted:
        what = _effect(one.method, effects)
        if autonomy == "readonly" and what in (EFFECTS["write"], EFFECTS["external"]):
            what += "; refused where it does, by autonomy readonly"
        if one.own:
            what += "; on behalf of any caller"
        if one.lent:
            what += "; by the runs it spawns, not by itself"
        if one.approval is not None:
            what += "; asks you each time" if one.approval else "; without asking you"
        rows.append((one.method, ", ".join(one.allow) or "nothing", what))
    return rows


def _effect(method: str, effects: Mapping[str, str]) -> str:
    if method == "kernel.publish":
        return "publishes events"
    if method == "kernel.subscribe":
        return "hears events"
    found = {effect for name, effect in effects.items() if reaches(method, name)}
    if not found:
        return "nothing provides it yet"
    worst = "external" if "external" in found else "write" if "write" in found else "read"
    return EFFECTS[worst]


def _price(one: Provided) -> str:
    if one.most is None:
        return ""
    return f"; a call costs at most {' and '.join(map(format_amount, UNITS, sum_of(one.most)))}"


def offer_rows(offered: Mapping[str, Provided], known: Mapping[str, Provided]) -> list[tuple[str, str, str]]:
    """A row for each method offered that is new or differs from `known`: method, resource, and what it does."""
    return [
        (
            name,
            "" if one.resource == "none" else f"on a {one.resource}",
            f"{EFFECTS[one.effect]}: {one.summary}{_price(one)}",
        )
        for name, one in offered.items()
        if name not in known or known[name] != one
    ]
