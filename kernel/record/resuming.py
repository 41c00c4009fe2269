"""Resumes task runs whose process, kernel or machine died (acts on what wire/fast_forward.py decides).

A run whose process died unfinished gets another, which is fast-forwarded through the run's tape. A run that may not start
now (the home is frozen, its Hand is paused, the kernel is going down) waits without a process until it may. A call without an
end in the log is made again if it is a read or idempotent; any other ends in Failed(outcome unknown). The outcome of kernel
methods is never unknown: it is in the log.
"""

import signal
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from kernel.record.journal import TapeFile
from kernel.record.tapes import Tape
from kernel.runs import Peer, Run, exit_text, labels_of_sender, resumes_after, was_killed_from_outside
from manifests import policy, upgrades
from manifests.approvals import denied_refusal, reasons_after_start
from manifests.calls import OpenCall, chain, is_long_wait, may_be_made_again, open_call
from manifests.lives import OUTCOME_UNKNOWN, backoff, cpu_exceeded, has_fixed_order, is_temporary, is_worth_noting
from manifests.orphaned_calls import end_entries, end_if_unmade, settle_lost, waited, with_spent
from manifests.policy import redact
from manifests.schema import Provided
from manifests.settings import split_secrets
from manifests.unfinished import Open
from wire import codec, headers
from wire.codec import NIL
from wire.entries import time_micros
from wire.errors import CodecError, Late, Refusal, TapeDamaged
from wire.fast_forward import Contents, scanning, up_to
from wire.headers import FromRun
from wire.ids import KERNEL
from wire.tape import Began, Ended, Spent, seed_of

if TYPE_CHECKING:
    from kernel.core import Kernel

WORK: Final = Provided(method="run", summary="The work of a task run", resource="none", effect="external")

INTERRUPTED: Final = "interrupted"
"""Code of Failed for a stream that broke because its caller's process died."""

EVERY: Final = 5.0
"""Seconds between two checks for runs that only wait, so that their processes may end."""

DEATHS_MOST: Final = 3
"""Processes of a run that may die in a row without progress. Then the run ends, unless the last was killed from outside."""


class Resuming:
    """All runs that have a tape.

    waiting: runs without a process. Each has the entry that must be on disk before its next process starts, and the scan of
    what that is sent first. asleep: those of them that only a message resumes, with the length of their tapes when they
    fell asleep.
    """

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self.waiting: dict[str, tuple[int, Iterator[Contents | None]]] = {}
        self.asleep: dict[str, int] = {}
        self._idle_since: dict[str, int] = {}  # runs that seemed only to wait at the last check: their tapes' lengths

    def give_tape(self, run: Run, work: OpenCall, cause: OpenCall) -> None:
        """Give a new run its tape. The tape's first record, Began, is written when the run's process is made."""
        kernel, hand, links = self._kernel, run.hand, chain(work)
        run.tape = self.make_tape(run, kernel.log.journal.tape(run.id, run.digest_key))
        run.asked, run.clock = cause.number, kernel.time() if has_fixed_order(hand.package.manifest) else 0
        run.began = Began(
            run=run.id, hand=hand.id, name=hand.name, version=hand.version, seal=hand.seal, clock=run.clock,
            inputs=work.body, work=work.number, caller=work.caller, asked=cause.number,
            chain=tuple((call.caller, call.by.hand) for call in links), spawns=tuple(call.by.spawns for call in links),
            parent=work.parent.number if work.parent else 0, spawner=run.parent, labels=work.shown_labels(), most=work.most,
            settings=split_secrets(hand.package.manifest.settings, kernel.settings_of(hand))[0],
            deadline=int((work.deadline - kernel.loop.now()) * 1000),
        )  # fmt: skip

    def make_tape(self, run: Run, file: TapeFile) -> Tape:
        """Return a Tape for this run, on this file."""
        run.seed = seed_of(run.digest_key)
        return Tape(self._kernel, run.id, file, in_order=has_fixed_order(run.hand.package.manifest))

    # a process has ended ---------------------------------------------------------------------------------------------

    def keep_for_resume(self, run: Run, status: int) -> bool:
        """Let a run whose process ended wait for its next one. Returns False if the run does not resume."""
        tape, kernel = run.tape, self._kernel
        if tape is None or run.work is None or run.work.number not in kernel.exchange.calls or run.state == "left":
            return False
        is_unfit = bool(run.unfit or cpu_exceeded(run.hand.package.manifest, run.earlier_cpu + run.cpu))
        if not run.is_leaving and not resumes_after(status, was_told=run.is_ending, is_unfit=is_unfit):
            return False
        if not run.is_leaving:
            tape.deaths = 0 if tape.count > run.count else tape.deaths + 1
            if tape.deaths >= DEATHS_MOST and (run.state == "lost" or not was_killed_from_outside(status)):
                run.unfit = f"it died {tape.deaths} times without progress, last: {run.why or exit_text(status)}"
                return False
        self._await_next_process(run, tape, status)
        return True

    def _await_next_process(self, run: Run, tape: Tape, status: int) -> None:
        """Replace a run whose process ended by one that waits, and start it after a delay unless it is asleep."""
        kernel, again = self._kernel, run.next_process()
        self.note_spent(run, is_due=True)
        again.earlier_cpu = tape.spent.cpu
        again.count, again.hand = tape.count, upgrades.version_of(kernel.state, run.hand.id, run.hand.seal) or run.hand
        kernel.forget(run)
        kernel.runs[run.id] = again
        if tape.peer is not None:  # it collects events until the next process connects, with the grants of then
            tape.peer.run = again
        if run.is_leaving and (kernel.is_finishing or kernel.state.frozen):
            self.put_back(tape)
        used = waited(tape.pending.values()) | {"exit": exit_text(status), "cpu_us": run.cpu, "memory_peak": run.memory}
        seq = kernel.log.append("run.left", principal=KERNEL, run=run.id, why=redact(run.why), detail=used)
        for call in [call for call in tape.open_calls.values() if call.upload and not tape.in_order]:
            code = INTERRUPTED if may_be_made_again(call.provided) else OUTCOME_UNKNOWN
            kernel.exchange.fail(call, code, f"its caller's process died while it had {call.method} open")
        self.waiting[run.id] = seq, scanning(up_to(tape.file.records(), tape.rewind()))
        if run.id in self.asleep:
            if self.asleep[run.id] != tape.count or tape.pending:  # it got a message, or its calls were put back
                self.wake(run.id)
            return
        then = partial(kernel.log.after, seq, partial(self.start_waiting, run.id))
        kernel.loop.after(backoff(tape.deaths, 0.0) if tape.deaths else 0.0, then)

    def put_back(self, tape: Tape) -> None:
        """Close a run's open calls without an end, as a restart of the kernel does: the run's next process makes each again.

        Unlike after a restart, it is known of each whether it had reached its provider.
        """
        for call in [call for call in tape.open_calls.values() if call.state != "held"]:
            tape.pending[call.caller_number] = call.number, call.as_open_again()
            if call.reservation is not None:
                tape.reservations[call.number] = call.reservation
            self._kernel.exchange.forget(call)
            del tape.open_calls[call.caller_number]

    def put_all_back(self) -> None:
        """Put back the calls of all runs before all providers are killed. Runs that are asleep have none at a provider."""
        for tape in [run.tape for run in self._kernel.runs.values() if run.tape and run.id not in self.asleep]:
            self.put_back(tape)

    def start_waiting(self, *only: str) -> None:
        """Start the next processes of waiting runs that may start now. only: of these; by default of all but the asleep."""
        for name in [name for name in self.waiting if (name in only if only else name not in self.asleep)]:
            run = self._kernel.runs.get(name)
            if run is None or run.tape is None or self.waiting[name][0] >= self._kernel.log.durable:
                continue
            try:
                if not self._kernel.upgrading.may_resume(run):
                    continue
                if (contents := next(self.waiting[name][1])) is None:  # a long tape: all others have their turns first
                    self._kernel.loop.after(0.0, partial(self.start_waiting, name))
                    continue
                self._kernel.supervisor.start_again(run)
                del self.waiting[name]
                run.tape.begin_fast_forward(contents)
            except Refusal as refusal:
                if not is_temporary(refusal.code, run.count):
                    if refusal.code != "template":  # which is logged with the run's end
                        self._kernel.log_refused_start(run.hand, refusal)
                    self.give_up(run, refusal.why)
            except (TapeDamaged, CodecError, OSError) as error:
                self.give_up(run, f"its tape cannot be read: {error}")

    # a run that only waits -------------------------------------------------------------------------------------------

    def ask_idle_runs(self) -> None:
        """Ask the runs that seem only to wait whether they do. Repeats itself after EVERY seconds."""
        kernel, now = self._kernel, self._kernel.time()
        kernel.loop.after(EVERY, self.ask_idle_runs)
        self._idle_since = {name: count for name, count in self._idle_since.items() if name in kernel.runs}
        for run in kernel.runs.values():
            self.note_spent(run)
            if run.peer is None or run.state != "ready" or run.paused or run.is_ending or not (run.tape and run.clock):
                continue
            if run.tape.is_quiet and all(is_long_wait(call, now) for call in run.tape.open_calls.values()):
                if self._idle_since.get(run.id) == run.tape.count:  # it has waited since the last check
                    kernel.links.transmit(run.peer, codec.encode(headers.Still(time=now)), NIL)
                self._idle_since[run.id] = run.tape.count

    def note_spent(self, run: Run, *, is_due: bool = False) -> None:
        """Note on a run's tape what it has used of its limits, if that grew much since the last note. is_due: if it grew."""
        tape, work, began = run.tape, run.work, run.began
        if tape is None or work is None or began is None or work.number not in self._kernel.exchange.calls:
            return
        wall = max(tape.spent.wall, began.deadline - int(work.time_left(self._kernel.loop.now()) * 1000))
        cpu = max(tape.spent.cpu, run.earlier_cpu + max(run.cpu, int(run.cpu_seconds() * 1_000_000)))
        spent, manifest = Spent(wall=wall, cpu=cpu), run.hand.package.manifest
        if spent != tape.spent and (is_due or is_worth_noting(tape.spent, spent, began.deadline, manifest)):
            tape.put_spent(spent)

    def on_resting(self, run: Run) -> None:
        """End the process of a run that says it only waits; the next message to the run resumes it.

        Raises Late if the run was not asked.
        """
        tape, asked = run.tape, self._idle_since.pop(run.id, None)
        if tape is None or asked is None:
            raise Late(0)
        if asked == tape.count and tape.is_quiet and not run.is_ending:
            self.asleep[run.id] = tape.count
            run.is_leaving, run.why = True, "it only waits"
            self._kernel.launcher.kill(run, signal.SIGKILL)

    def wake(self, run: str) -> None:
        """Resume a run that is asleep, since there is a message for it."""
        if self.asleep.pop(run, None) is not None:
            self._kernel.log.after(self._kernel.log.size - 1, partial(self.start_waiting, run))

    def give_up(self, run: Run, why: str) -> None:
        """End a run for good, and kill its process if it has one."""
        run.unfit = run.unfit or why
        if run.number and run.state != "waiting":
            self._kernel.supervisor.kill(run, why)
            return
        self.waiting.pop(run.id, None)
        run.state = "left"
        self._kernel.supervisor.on_process_end(run, -1)

    def end_diverged(self, run: Run, why: str) -> None:
        """End a run that did not repeat a recorded request. why: the first difference. No fault if it was told to end."""
        if run.is_ending:
            self._kernel.supervisor.kill(run, why)
            return
        self._kernel.log_refusal(run.id, "diverged", f"diverged from its tape: {why}")
        since = "".join(f"; since then, {change}" for change in upgrades.replaced_code(self._kernel.state, run.id))
        self._kernel.supervisor.end_as_unfit(run, f"diverged: begun as {run.name} {run.hand.version}, {why}{since}")

    def record_end(self, run: Run, work: OpenCall, header: headers.End, body: bytes) -> None:
        """Record the end of a run's work on its tape. The caller appends its log entry next."""
        if run.tape is not None:
            raw, instead = codec.encode(header), self._kernel.results.replacement(run.id)
            run.tape.put(Ended(header=raw, body=body, labels=work.shown_labels(), instead=instead))

    def close(self, run: Run) -> None:
        """End the calls that a run left open when it ended for good."""
        self.asleep.pop(run.id, None)
        tape, run.tape = run.tape, None
        if tape is None:
            return
        for peer in filter(None, (tape.peer, tape.absent)):
            self._kernel.events.forget(peer)
        self.end_calls(run, tape, "its caller is gone")

    def end_calls(self, run: Run, tape: Tape, why: str) -> None:
        """End a run's open calls, to which no process of it will return. An unknown cost is settled in full.

        If the run still has its tape, the ends are recorded there too: otherwise it would make the calls again if it resumes.
        """
        kernel = self._kernel
        for call in list(tape.open_calls.values()):
            kernel.exchange.cancel(call, why)
        for number, (known, open_) in tape.pending.items():
            (fields,) = end_entries(with_spent([(known, open_)], tape.reservations), "its caller never returned to it")
            if run.tape is tape:
                tape.send(end_if_unmade(number, open_, why, kernel.time()), NIL, bound=True)
            kernel.record("end", **fields)
        settle_lost(kernel.budgets.reservations, tape.reservations, tape.pending.values())
        tape.pending.clear()
        tape.reservations.clear()

    def stays_open(self, call: OpenCall) -> bool:
        """Whether a call stays open while the kernel is down."""
        return call.caller in self.waiting or call.provider in self.waiting

    def outlives(self, run: Run | None) -> bool:
        """Whether this kernel is going down and the run resumes under the next one, which then answers its requests."""
        return self._kernel.is_finishing and bool(run and run.tape and (run.is_leaving or not run.is_ending))

    def pending_calls(self) -> Iterable[tuple[int, Open]]:
        """Yield the calls that resuming runs had open and have not made again yet, by number."""
        for run, tape in [(run, run.tape) for run in self._kernel.runs.values() if run.tape]:
            is_begun = run.id not in self.waiting
            yield from with_spent(tape.pending.values(), tape.reservations, is_begun=is_begun).items()

    def make_again(
        self, peer: Peer, header: FromRun, body: bytes, known: tuple[int, Open] | None, *, is_begun: bool
    ) -> None:
        """Make a recorded request again that has no end in the log.

        known: the call's number in the log, and what its entry says; None if it had no entry. is_begun: its caller got a part
        of the reply already, which must not come twice.
        """
        kernel, run = self._kernel, peer.run
        assert run is not None
        assert run.tape is not None
        if isinstance(header, headers.Publish):
            run.tape.send(headers.Done(number=header.number, time=kernel.time()), NIL)
            return
        if known is None or not isinstance(header, headers.Call):
            kernel.router.dispatch(peer, header, body)
            return
        number, old = known
        provided, owner, resource = kernel.catalogue.find_again(header.method, header.resource, old.effect)
        call = open_call(
            header, number, peer.principal, policy.link_of(run.id, run.hand, run.grants), peer.route, provided=provided,
            resource=resource, body=body, parent=run.work, labels=labels_of_sender(run, run.work), owner=owner,
            now=kernel.loop.now(),
        )  # fmt: skip
        call.began, call.seq, call.until, call.answer = time_micros(old.time), old.seq, old.until, old.answer
        call.by, call.was_taken_back = replace(call.by, is_approved=old.answer == "approved"), old.was_begun
        call.reservation = run.tape.reservations.pop(number, None)
        run.tape.open_calls[header.number] = call
        kernel.exchange.open(call)
        is_lost = old.is_begun and not header.method.startswith("kernel.") and not may_be_made_again(provided, old.most)
        if old.answer == "edited" or (old.answer in ("", "approved") and is_lost):  # even if it may be made now
            why = f"{header.method} had begun when all was ended: look before you repeat it"
            kernel.exchange.fail(call, OUTCOME_UNKNOWN, why)
            return
        try:
            reasons = kernel.router.decide_again(call, run.hand)
            if old.answer == "denied":
                raise denied_refusal("")
        except Refusal as refusal:
            if old.answer != "held":  # a held call is decided on when it is answered
                kernel.exchange.refuse(call, refusal)
                return
            reasons = ()
        if old.answer == "held":
            call.asks = reasons or reasons_after_start(call.by)
            kernel.exchange.hold(call)
        elif is_begun:
            kernel.exchange.fail(call, INTERRUPTED, f"{header.method} was streaming when all was ended")
        else:  # a call that had not begun waits until the start of its run's process is on disk
            kernel.exchange.deliver_when_durable(-1 if old.is_begun else kernel.log.size - 1, call)
