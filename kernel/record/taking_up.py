"""What an earlier kernel left unfinished: its runs are taken up, and how others ended is remembered (acts).

Separate from resuming.py, which begins where this ends: with runs that have a tape and wait for a process.
"""

import os
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from kernel.record.resuming import WORK
from kernel.runs import Peer, Run
from manifests import policy, upgrades
from manifests.calls import OpenCall, covering
from manifests.grants import GrantSet
from manifests.policy import Link, shown
from manifests.state import authority
from manifests.unfinished import Unfinished
from wire import codec, headers
from wire.entries import time_micros
from wire.errors import ManipleError, TapeDamaged
from wire.ids import KERNEL, OPERATOR, RunId
from wire.rates import Rate
from wire.results import LOST, Outcome
from wire.tape import Began, Ended, began
from wire.telling import Contents, look_at

if TYPE_CHECKING:
    from kernel.core import Kernel

KEPT: Final = 8 * 1024 * 1024
"""Bytes of memory for what the tapes of all runs tell, from the look at them until it is told; what finds no room there is
read again then.
"""


def boot(kernel: "Kernel") -> set[str]:
    """Take up what an earlier kernel left unfinished, outermost first; the runs that go on."""
    state, taken, room, anew = kernel.state, set[str](), KEPT, upgrades.begun_anew(kernel.state)
    for run, one in sorted(state.unfinished.items(), key=lambda item: item[1].work):
        if one.instead and one.has_work:  # else a crash took that, and the other goes on itself
            kernel.results.replace(one.instead, run)
        if one.has_ended or one.work not in state.open or run in anew:
            continue
        if one.spawner and one.spawner not in taken:
            kernel.log.append("note", principal=KERNEL, run=run, why="the run that spawned it does not go on")
            continue
        try:
            room -= _take_up(kernel, run, one, room)
            taken.add(run)
        except (ManipleError, OSError) as error:
            kernel.log.append("note", principal=KERNEL, run=run, why=shown(f"it cannot go on: {error}"))
    return taken


def _take_up(kernel: "Kernel", name: str, one: Unfinished, room: int) -> int:
    """Take up a run; how much of the room what it is told takes. Raises ManipleError or OSError."""
    state = kernel.state
    secret = kernel.log.journal.secret(name)
    file = kernel.log.journal.tape(name, secret)
    contents = look_at(file.cut(kernel.log.found), room)
    told = began(file.records())
    hand = upgrades.version_of(state, told.hand, told.seal)
    if hand is None:
        raise TapeDamaged(0, f"{told.name} {told.version} is neither installed nor kept")
    work = _work(kernel, told, contents)
    work.depth = one.depth
    run = Run(RunId(name), hand, authority(state, hand), secret, work)
    run.began, run.clock, run.asked, run.state, run.parent = told, told.clock, told.asked, "waiting", told.spawner
    run.before, run.calls, (run.tokens, run.cost) = contents.spent.cpu, one.calls, one.spent
    run.tape = tape = kernel.resuming.tape(run, file)
    tape.tell(contents)
    limits = hand.package.manifest.limits
    rate = Rate(limits.calls_per_minute, 0.0)
    tape.absent = Peer(b"absent " + name.encode(), name, run, rate, limits.in_flight, (-1, -1))
    tape.absent.event_credit = 0
    if contents.needs <= one.last:
        raise TapeDamaged(file.end, f"it lacks what entry {one.last} is about")
    if contents.is_delivered:
        work.step("deliver")
    work.seq, work.began = state.open[work.number].seq, time_micros(state.open[work.number].time)
    by_seq = {one.seq: (number, one) for number, one in state.open.items() if one.run == name}
    for known in contents.known:
        if known.seq in by_seq and not known.is_ended:
            tape.opens[known.number] = by_seq.pop(known.seq)
    if by_seq := {seq: one for seq, one in by_seq.items() if one[1].method != WORK.method}:
        raise TapeDamaged(file.end, f"it lacks the call of entry {min(by_seq)}")
    file.settle()
    work.provider, kernel.runs[run.id] = run.id, run
    kernel.results.begin(run.id, told.caller)
    for known in contents.known:
        if known.kind == "subscribe":
            kernel.events.subscribe_again(tape.absent, known.on)
    kernel.exchange.open(work)
    kernel.resuming.waiting[name] = -1, -1
    return contents.size


def reserve(kernel: "Kernel") -> None:
    """What was reserved for runs' works and calls stays so until they have their ends, but for what was spent of it.

    That also counts what they had others do, which nobody goes on with: so this comes when all that has its end.
    """
    bonds, left = kernel.budgets.bonds, kernel.state.open
    for run in kernel.runs.values():  # outermost first
        if (work := run.work) and (tape := run.tape):
            bonds.spent_before(work.bond, left[work.number].inner)
            for number, (known, _) in tape.opens.items():
                tape.opens[number] = known, (one := left[known])
                if one.most is not None:
                    tape.bonds[known] = bonds.open(known, one.payers, one.most, covering(work), one.inner)


def _work(kernel: "Kernel", told: Began, contents: Contents) -> OpenCall:
    """A run's work as it was, in the same names, with the labels of all that the run has seen."""
    now = kernel.loop.now()
    parent: OpenCall | None = None
    for depth, (principal, hand) in reversed(list(enumerate(told.chain))):
        number = (told.work, told.parent, 0)[min(depth, 2)]
        if found := kernel.exchange.calls.get(number):
            parent = found
            continue
        left, acting = kernel.state.open.get(number), kernel.runs.get(principal)
        installed = acting.hand if acting is not None else kernel.state.by_id(hand) if hand else None
        grants = authority(kernel.state, installed) if installed else None
        by = policy.link_of(principal, installed, grants)
        if hand and installed is None:  # it was removed, and whoever acts in its name may nothing
            by = Link(hand=hand, name=principal, grants=GrantSet.of(()))
        by = replace(by, is_approved=left is not None and left.answer == "approved")
        parent = OpenCall(
            number, principal, by, b"", 0, provided=WORK, resource="", body=told.inputs, parent=parent,
            deadline=now + max(0, told.deadline - contents.spent.wall) / 1000, most=told.most, upload=False,
            labels=kernel.state.unfinished[told.run].seen(contents.labels),
        )  # fmt: skip
    assert parent is not None
    parent.is_detached = bool(told.parent and not told.spawner)
    return parent


def outcome(kernel: "Kernel", run: str, caller: str) -> Outcome | None:
    """How a run ended that an earlier kernel saw end, or the one that was begun instead, from its tape; None when this
    caller may not know.
    """
    run, journal = upgrades.newest(kernel.state, run), kernel.log.journal
    try:
        file = journal.tape(run, journal.secret(run))
        file.end = os.path.getsize(file.path)
        if caller not in (OPERATOR, began(file.records()).caller):
            return None
        ended = [placed.record for placed in file.records() if isinstance(placed.record, Ended)][-1]
        if ended.instead:
            return outcome(kernel, ended.instead, caller)
        header = codec.decode_from_kernel(ended.header)
    except (OSError, ManipleError, IndexError):
        one = kernel.state.unfinished.get(run)
        if one is None or not one.has_ended or caller not in (OPERATOR, one.spawner):
            return None
        return LOST
    assert isinstance(header, headers.Done | headers.Failed | headers.Refused | headers.Cancelled)
    return Outcome(header=header, body=ended.body, labels=frozenset(ended.labels))
