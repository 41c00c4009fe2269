"""Resuming task runs whose process ended, or whose kernel or machine did (acts on what wire/fast_forward.py decides).

A run whose process died unfinished gets another one, which is fast-forwarded through the tape. One that may not start now
(everything is frozen, its Hand is paused, the kernel is going down) waits without a process until it may. A call without an
end in the log is made again if it only reads or is idempotent; any other ends in Failed, outcome unknown. The outcome of the
kernel's own methods is never unknown: it is in the log.
"""

import signal
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from kernel.record.journal import TapeFile
from kernel.record.tapes import Tape
from kernel.runs import Peer, Run, exit_text, labels_of_sender, resumes_after, was_killed_from_outside
from manifests import policy, upgrades
from manifests.approvals import asked_again, denied
from manifests.calls import OpenCall, chain, lasts, may_be_made_again, opened
from manifests.lives import OUTCOME_UNKNOWN, backoff, in_order, is_worth_noting, passes, used_up
from manifests.orphaned_calls import as_spent, lose, unheard, unmade, waited
from manifests.policy import shown
from manifests.schema import Provided
from manifests.settings import split_secrets
from manifests.unfinished import Open
from wire import codec, headers
from wire.codec import NIL
from wire.entries import time_micros
from wire.errors import CodecError, Late, Refusal, TapeDamaged
from wire.fast_forward import scan, up_to
from wire.headers import FromRun
from wire.ids import KERNEL
from wire.tape import Began, Ended, Spent, seed_of

if TYPE_CHECKING:
    from kernel.core import Kernel

WORK: Final = Provided(method="run", summary="The work of a task run", resource="none", effect="external")

INTERRUPTED: Final = "interrupted"
"""The code of Failed for a stream that broke because its caller's process died."""

EVERY: Final = 5.0
"""Seconds between two looks for runs that only wait, and whose processes may therefore end."""

DEATHS_MOST: Final = 3
"""Processes of one run that may die in a row without progress. One more ends the run, unless the last was killed."""


class Resuming:
    """All runs that have a tape.

    waiting: runs without a process: how many recorded messages the next one is sent first (-1: its tape knows), and the
    number of the entry that must be on disk before it starts. asleep: those of them that only a message resumes, with the
    length of their tapes when they fell asleep.
    """

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self.waiting: dict[str, tuple[int, int]] = {}
        self.asleep: dict[str, int] = {}
        self._asked: dict[str, int] = {}  # runs that were asked whether they only wait, with the length of their tapes

    def begin(self, run: Run, work: OpenCall, cause: OpenCall) -> None:
        """Give a new run its tape. What it was begun with is recorded there when its process is made."""
        kernel, hand = self._kernel, run.hand
        run.tape = self.tape(run, kernel.log.journal.tape(run.id, run.digest_key))
        run.asked, run.clock = cause.number, kernel.time() if in_order(hand.package.manifest) else 0
        run.began = Began(
            run=run.id, hand=hand.id, name=hand.name, version=hand.version, seal=hand.seal, clock=run.clock,
            inputs=work.body, work=work.number, caller=work.caller, asked=cause.number,
            chain=tuple((call.caller, call.by.hand) for call in chain(work)),
            parent=work.parent.number if work.parent else 0, spawner=run.parent, labels=work.shown_labels(), most=work.most,
            settings=split_secrets(hand.package.manifest.settings, kernel.settings_of(hand))[0],
            deadline=int((work.deadline - kernel.loop.now()) * 1000),
        )  # fmt: skip

    def tape(self, run: Run, file: TapeFile) -> Tape:
        """A run's tape, on this file."""
        run.seed = seed_of(run.digest_key)
        return Tape(self._kernel, run.id, file, in_order=in_order(run.hand.package.manifest))

    # a process has ended ---------------------------------------------------------------------------------------------

    def take_over(self, run: Run, status: int) -> bool:
        """Take over a run whose process ended; False when it does not go on."""
        tape, kernel = run.tape, self._kernel
        if tape is None or run.work is None or run.work.number not in kernel.exchange.calls or run.state == "left":
            return False
        is_unfit = bool(run.unfit or used_up(run.hand.package.manifest, run.before + run.cpu))
        if not run.is_leaving and not resumes_after(status, was_told=run.is_ending, is_unfit=is_unfit):
            return False
        if not run.is_leaving:
            tape.deaths = 0 if tape.count > run.count else tape.deaths + 1
            if tape.deaths >= DEATHS_MOST and (run.state == "lost" or not was_killed_from_outside(status)):
                why = run.why or exit_text(status)
                run.unfit = f"its process died {tape.deaths} times and came no further, last: {why}"
                return False
        self._leave(run, tape, status)
        return True

    def _leave(self, run: Run, tape: Tape, status: int) -> None:
        kernel, again = self._kernel, run.next_process()
        self.note_spent(run, is_due=True)
        again.before = tape.spent.cpu
        again.count, again.hand = tape.count, upgrades.version_of(kernel.state, run.hand.id, run.hand.seal) or run.hand
        kernel.forget(run)
        kernel.runs[run.id] = again
        if run.is_leaving and (kernel.is_finishing or kernel.state.frozen):
            self.put_back(tape)
        used = waited(tape.opens.values()) | {"exit": exit_text(status), "cpu_us": run.cpu, "memory_peak": run.memory}
        seq = kernel.log.append("run.left", principal=KERNEL, run=run.id, why=shown(run.why), detail=used)
        for call in [call for call in tape.made.values() if call.upload and not tape.in_order]:
            code = INTERRUPTED if may_be_made_again(call.provided) else OUTCOME_UNKNOWN
            kernel.exchange.fail(call, code, f"its caller's process died while it had {call.method} open")
        self.waiting[run.id] = tape.rewind(), seq
        if run.id in self.asleep:
            if self.asleep[run.id] != tape.count or tape.opens:  # told something, or its calls were put back
                self.wake(run.id)
            return
        then = partial(kernel.log.after, seq, partial(self.try_again, run.id))
        kernel.loop.after(backoff(tape.deaths, 0.0) if tape.deaths else 0.0, then)

    def put_back(self, tape: Tape) -> None:
        """Treat a run's open calls as after a restart of the kernel: each is made when the run's next process makes it again.

        But whether each had reached its provider is known here.
        """
        for call in [call for call in tape.made.values() if call.state != "held"]:
            key = self._kernel.digest_key(call.caller)
            tape.opens[call.caller_number] = call.number, call.put_back(key, call.caller)
            if call.reservation is not None:
                tape.reservations[call.number] = call.reservation
            self._kernel.exchange.forget(call)
            del tape.made[call.caller_number]

    def freeze(self) -> None:
        """All providers are about to be ended, and no run is to notice. Runs that are asleep have no call at any."""
        for tape in [run.tape for run in self._kernel.runs.values() if run.tape and run.id not in self.asleep]:
            self.put_back(tape)

    def try_again(self, *only: str) -> None:
        """Start the runs that wait and may start now. only: these; without any, all but those that are asleep."""
        for name in [name for name in self.waiting if (name in only if only else name not in self.asleep)]:
            run = self._kernel.runs.get(name)
            if run is None or run.tape is None or self.waiting[name][1] >= self._kernel.log.durable:
                continue
            try:
                if not self._kernel.upgrading.lets_go_on(run):
                    continue
                self._kernel.supervisor.start_again(run)
                heard, _ = self.waiting.pop(name)
                if heard >= 0:
                    run.tape.tell(scan(up_to(run.tape.file.records(), heard)))
            except Refusal as refusal:
                if not passes(refusal.code, run.count):
                    self._kernel.log_refused_start(run.hand, refusal)
                    self.give_up(run, refusal.why)
            except (TapeDamaged, CodecError, OSError) as error:
                self.give_up(run, f"its tape cannot be read: {error}")

    # a run that only waits -------------------------------------------------------------------------------------------

    def look_for_rest(self) -> None:
        """Every EVERY seconds, ask the runs that seem to wait only whether they do."""
        kernel, now = self._kernel, self._kernel.time()
        kernel.loop.after(EVERY, self.look_for_rest)
        self._asked = {name: count for name, count in self._asked.items() if name in kernel.runs}
        for run in kernel.runs.values():
            self.note_spent(run)
            if run.peer is None or run.state != "ready" or run.paused or run.is_ending or not (run.tape and run.clock):
                continue
            if run.tape.is_quiet and all(lasts(call, now) for call in run.tape.made.values()):
                if self._asked.get(run.id) == run.tape.count:  # it was so at the last look, too
                    kernel.links.transmit(run.peer, codec.encode(headers.Still(time=now)), NIL)
                self._asked[run.id] = run.tape.count

    def note_spent(self, run: Run, *, is_due: bool = False) -> None:
        """Note on its tape what a run has used of its limits, if that grew much since the last note; is_due: if at all."""
        tape, work, began = run.tape, run.work, run.began
        if tape is None or work is None or began is None or work.number not in self._kernel.exchange.calls:
            return
        wall = max(tape.spent.wall, began.deadline - int(work.time_left(self._kernel.loop.now()) * 1000))
        cpu = max(tape.spent.cpu, run.before + max(run.cpu, int(run.cpu_seconds() * 1_000_000)))
        spent, manifest = Spent(wall=wall, cpu=cpu), run.hand.package.manifest
        if spent != tape.spent and (is_due or is_worth_noting(tape.spent, spent, began.deadline, manifest)):
            tape.put_spent(spent)

    def rests(self, run: Run) -> None:
        """A run says that it only waits: its process ends, and the next message to it resumes it.

        Raises Late when the run was not asked.
        """
        tape, asked = run.tape, self._asked.pop(run.id, None)
        if tape is None or asked is None:
            raise Late(0)
        if asked == tape.count and tape.is_quiet and not run.is_ending:
            self.asleep[run.id] = tape.count
            run.is_leaving, run.why = True, "it only waits"
            self._kernel.launcher.kill(run, signal.SIGKILL)

    def wake(self, run: str) -> None:
        """Resume a run that is asleep, for which there is a message now."""
        if self.asleep.pop(run, None) is not None:
            self._kernel.log.after(self._kernel.log.size - 1, partial(self.try_again, run))

    def give_up(self, run: Run, why: str) -> None:
        """End a run for good; a process that it has is killed."""
        run.unfit = run.unfit or why
        if run.number and run.state != "waiting":
            self._kernel.supervisor.kill(run, why)
            return
        self.waiting.pop(run.id, None)
        run.state = "left"
        self._kernel.supervisor.on_process_end(run, -1)

    def diverged(self, run: Run, why: str) -> None:
        """A run did not repeat a recorded request: end it, and name the first difference."""
        self._kernel.log_refusal(run.id, "diverged", f"diverged from its tape: {why}")
        since = "".join(f"; since then, {change}" for change in upgrades.changed(self._kernel.state, run.id))
        why = f"diverged: begun as {run.name} {run.hand.version}, {why}{since}"
        self._kernel.supervisor.end_as_unfit(run, why)

    def ended(self, run: Run, work: OpenCall, header: headers.End, body: bytes) -> None:
        """Record the end of a run's work on its tape. Its log entry is appended next."""
        if run.tape is not None:
            raw, instead = codec.encode(header), self._kernel.results.instead(run.id)
            run.tape.put(Ended(header=raw, body=body, labels=work.shown_labels(), instead=instead))

    def close(self, run: Run) -> None:
        """A run has ended for good: end the calls that it left open."""
        self.asleep.pop(run.id, None)
        tape, run.tape = run.tape, None
        if tape is None:
            return
        for peer in filter(None, (tape.peer, tape.absent)):
            self._kernel.events.forget(peer)
        self.end_calls(run, tape, "its caller is gone")

    def end_calls(self, run: Run, tape: Tape, why: str) -> None:
        """End a run's open calls, which no process of it comes back to. A cost that nobody can know is settled in full.

        These ends are also recorded on the tape, if the run still has it: else it would make the calls again if it goes on.
        """
        kernel = self._kernel
        for call in list(tape.made.values()):
            kernel.exchange.cancel(call, why)
        for number, (known, open_) in tape.opens.items():
            (said,) = unmade(as_spent([(known, open_)], tape.reservations), "its caller never came back to it")
            if run.tape is tape:
                tape.hear(unheard(number, open_, why, kernel.time()), NIL, bound=True)
            kernel.record("end", **said)
        lose(kernel.budgets.reservations, tape.reservations, tape.opens.values())
        tape.opens.clear()
        tape.reservations.clear()

    def keeps(self, call: OpenCall) -> bool:
        """Whether a call stays open while the kernel is down."""
        return call.caller in self.waiting or call.provider in self.waiting

    def outlives(self, run: Run | None) -> bool:
        """Whether this kernel is going down and the run resumes under the next one: its requests are then not answered."""
        return self._kernel.is_finishing and bool(run and run.tape and (run.is_leaving or not run.is_ending))

    def opens(self) -> Iterable[tuple[int, Open]]:
        """The calls of resuming runs that an earlier kernel left open and that were not made again yet."""
        for tape, is_begun in [
            (run.tape, run.id not in self.waiting) for run in self._kernel.runs.values() if run.tape
        ]:
            yield from as_spent(tape.opens.values(), tape.reservations, is_begun=is_begun).items()

    def make_again(
        self, peer: Peer, header: FromRun, body: bytes, known: tuple[int, Open] | None, *, is_begun: bool
    ) -> None:
        """Make a recorded request again that has no end in the log.

        known: the call's number there, and what its entry says; None where it had no entry. is_begun: its caller got a part
        of the reply already, which must not come twice.
        """
        kernel, run = self._kernel, peer.run
        assert run is not None
        assert run.tape is not None
        if isinstance(header, headers.Publish):
            run.tape.hear(headers.Done(number=header.number, time=kernel.time()), NIL)
            return
        if known is None or not isinstance(header, headers.Call):
            kernel.router.dispatch(peer, header, body)
            return
        number, old = known
        provided, owner, resource = kernel.catalogue.find_again(header.method, header.resource, old.effect)
        call = opened(
            header, number, peer.principal, policy.link_of(run.id, run.hand, run.grants), peer.route, provided=provided,
            resource=resource, body=body, parent=run.work, labels=labels_of_sender(run, run.work), owner=owner,
            now=kernel.loop.now(),
        )  # fmt: skip
        call.began, call.seq, call.until, call.answer = time_micros(old.time), old.seq, old.until, old.answer
        call.by, call.was_taken_back = replace(call.by, is_approved=old.answer == "approved"), old.was_begun
        call.reservation = run.tape.reservations.pop(number, None)
        run.tape.made[header.number] = call
        kernel.exchange.open(call)
        is_lost = old.is_begun and not header.method.startswith("kernel.") and not may_be_made_again(provided, old.most)
        if old.answer == "edited" or (old.answer in ("", "approved") and is_lost):  # whatever it may do now
            why = f"{header.method} had begun when all was ended: look before you repeat it"
            kernel.exchange.fail(call, OUTCOME_UNKNOWN, why)
            return
        try:
            reasons = kernel.router.decide_again(call, run.hand)
            if old.answer == "denied":
                raise denied("")
        except Refusal as refusal:
            if old.answer != "held":  # one that is held is decided about when it is answered
                kernel.exchange.refuse(call, refusal)
                return
            reasons = ()
        if old.answer == "held":
            call.asks = reasons or asked_again(call.by)
            kernel.exchange.hold(call)
        elif is_begun:
            kernel.exchange.fail(call, INTERRUPTED, f"{header.method} was streaming when all was ended")
        else:  # that one only waited holds until its run's start is on disk
            kernel.exchange.deliver_when_durable(-1 if old.is_begun else kernel.log.size - 1, call)
