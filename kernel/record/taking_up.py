"""Rebuilds the unfinished task runs of an earlier kernel from log and tapes, at the kernel's start (acts).

Separate from resuming.py, which begins where this ends: with runs that have a tape and wait for a process. It also reads the
outcome of runs that ended under an earlier kernel.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from kernel.record.resuming import WORK
from kernel.runs import Peer, Run
from manifests import policy, upgrades
from manifests.calls import OpenCall, paid_from
from manifests.grants import GrantSet
from manifests.policy import Link, redact
from manifests.state import authority
from manifests.unfinished import Unfinished, has_open_work
from wire.entries import time_micros
from wire.errors import ManipleError, TapeDamaged
from wire.fast_forward import Contents, ending, scan
from wire.ids import OPERATOR, RunId
from wire.rates import Rate
from wire.results import LOST, Outcome, outcome_of
from wire.tape import Began, began

if TYPE_CHECKING:
    from kernel.core import Kernel

KEPT: Final = 8 * 1024 * 1024
"""Bytes of memory for the messages on all tapes, from the scan until they are sent. A tape that does not fit is read again.
"""


def rebuild_runs(kernel: "Kernel") -> tuple[set[str], dict[str, str]]:
    """Rebuild every unfinished run that can resume, parents before children. Returns these, and why others end."""
    state, taken, room, lost = kernel.state, set[str](), KEPT, upgrades.restarted_runs(kernel.state)
    for run, unfinished in sorted(state.unfinished.items(), key=lambda item: item[1].work):
        if unfinished.instead and unfinished.has_work:  # without work: a crash undid it, and the run to replace resumes
            kernel.results.replace(unfinished.instead, run)
        if run in lost or not has_open_work(unfinished, state.open):
            continue
        if unfinished.spawner and unfinished.spawner not in taken:
            lost[run] = "run ended: the run that spawned it does not resume"
            continue
        try:
            room -= _rebuild_run(kernel, run, unfinished, room)
            taken.add(run)
        except (ManipleError, OSError) as error:
            lost[run] = redact(f"run ended: it cannot resume: {error}")
    return taken, lost


def _rebuild_run(kernel: "Kernel", name: str, unfinished: Unfinished, room: int) -> int:
    """Rebuild one run. Returns how much of `room` its messages take. Raises ManipleError or OSError if it cannot resume."""
    state = kernel.state
    secret = kernel.log.journal.secret(name)
    file = kernel.log.journal.tape(name, secret)
    contents = scan(file.vouched_records(kernel.log.size_at_open), room)
    start = began(file.records())
    hand = upgrades.version_of(state, start.hand, start.seal)
    if hand is None:
        raise TapeDamaged(0, f"{start.name} {start.version} is neither installed nor kept")
    work = _rebuild_work(kernel, start, contents)
    work.depth = unfinished.depth
    run = Run(RunId(name), hand, authority(state, hand), secret, work)
    run.began, run.clock, run.asked, run.state, run.parent = start, start.clock, start.asked, "waiting", start.spawner
    run.earlier_cpu, run.calls, (run.tokens, run.cost) = contents.spent.cpu, unfinished.calls, unfinished.spent
    run.tape = tape = kernel.resuming.make_tape(run, file)
    tape.begin_fast_forward(contents)
    limits, absent = hand.package.manifest.limits, f"absent {name}".encode()
    tape.absent = Peer(absent, name, run, Rate(limits.calls_per_minute, 0.0), limits.in_flight, (-1, -1))
    tape.absent.event_credit = 0
    if contents.needs <= unfinished.last:
        raise TapeDamaged(file.end, f"it lacks the message that entry {unfinished.last} records")
    if contents.is_delivered:
        work.step("deliver")
    work.seq, work.began = state.open[work.number].seq, time_micros(state.open[work.number].time)
    by_seq = {call.seq: (number, call) for number, call in state.open.items() if call.run == name}
    for known in contents.known:
        if known.seq in by_seq and not known.is_ended:
            tape.pending[known.number] = by_seq.pop(known.seq)
    if by_seq := {seq: found for seq, found in by_seq.items() if found[1].method != WORK.method}:
        raise TapeDamaged(file.end, f"it lacks the call of entry {min(by_seq)}")
    file.truncate()
    work.provider, run.count, kernel.runs[run.id] = run.id, tape.count, run
    kernel.results.begin(run.id, start.caller)
    for known in contents.known:
        if known.kind == "subscribe":
            kernel.events.subscribe_again(tape.absent, known.on)
    kernel.exchange.open(work)
    kernel.resuming.waiting[name] = -1, repeat(contents)
    return contents.size


def restore_reservations(kernel: "Kernel") -> None:
    """Reserve again what the rebuilt runs and their open calls had reserved, less what was spent of it; and restore what
    was spent for them.

    Call this after the calls that are not resumed have ended, since their cost counts as spent.
    """
    book, opens = kernel.budgets.reservations, kernel.state.open
    for run in kernel.runs.values():  # outermost first
        if (work := run.work) and (tape := run.tape):
            work.tokens, work.micro_dollars = kernel.state.unfinished[run.id].spent_in_all
            book.restore_spent(work.reservation, opens[work.number].inner)
            for number, (known, _) in tape.pending.items():
                tape.pending[number] = known, (call := opens[known])
                if call.most is not None:
                    tape.reservations[known] = book.open(known, call.payers, call.most, paid_from(work), call.inner)


def _rebuild_work(kernel: "Kernel", start: Began, contents: Contents) -> OpenCall:
    """Return a run's work as an open call, with the chain of calls above it and the labels of all that the run has seen."""
    now = kernel.loop.now()
    parent: OpenCall | None = None
    for depth, (principal, hand) in reversed(list(enumerate(start.chain))):
        number = (start.work, start.parent, 0)[min(depth, 2)]
        if found := kernel.exchange.calls.get(number):
            parent = found
            continue
        left, acting = kernel.state.open.get(number), kernel.runs.get(principal)
        installed = acting.hand if acting is not None else kernel.state.by_id(hand) if hand else None
        grants = authority(kernel.state, installed) if installed else None
        removed = Link(hand=hand, name=principal, grants=GrantSet.of(()))  # what is left of a Hand that was removed
        by = removed if hand and installed is None else policy.link_of(principal, installed, grants)
        is_spawner = not start.spawns or start.spawns[depth]  # older tapes do not say: it counts as one
        by = replace(by, is_approved=left is not None and left.answer == "approved", spawns=is_spawner)
        parent = OpenCall(
            number, principal, by, b"", 0, provided=WORK, resource="", body=start.inputs, parent=parent,
            deadline=now + max(0, start.deadline - contents.spent.wall) / 1000, most=start.most, upload=False,
            labels=kernel.state.unfinished[start.run].seen(contents.labels),
        )  # fmt: skip
    assert parent is not None
    parent.is_detached = not start.spawner
    if start.caller != OPERATOR and start.caller not in kernel.runs:
        parent.secret = os.urandom(32)  # if the caller's was erased, further digests prove nothing either
        with suppress(TapeDamaged):
            parent.secret = kernel.log.journal.secret(start.caller)
    return parent


def read_outcome(kernel: "Kernel", run: str, caller: str) -> Iterator[Outcome | None]:
    """Read the outcome of a run that ended under an earlier kernel, or of the run that replaced it, from its tape.

    Yields None after each piece of the tape, then the outcome; nothing if there is none, or this caller may not know it.
    """
    run, journal = upgrades.successor(kernel.state, run), kernel.log.journal
    unfinished, is_theirs = kernel.state.unfinished.get(run), False
    try:
        file = journal.tape(run, journal.secret(run))
        file.end = os.path.getsize(file.path)
        is_theirs = caller in (OPERATOR, began(file.records()).caller)
        for ended in ending(file.records()) if is_theirs else ():
            if ended is None:
                yield None
            elif ended.instead:
                yield from read_outcome(kernel, ended.instead, caller)
            else:
                yield outcome_of(ended)
    except (OSError, ManipleError):  # a run that could not resume has a tape without an end
        if is_theirs or (unfinished is not None and unfinished.has_ended and caller in (OPERATOR, unfinished.spawner)):
            yield LOST
