"""The beginning and the end of every run (acts): may it start, is it gone, and in what order do all stop.

A Hand starts only if its seal, trust, version and revocation are right at that moment, and what it requires is there. A
task Hand has a fresh run per piece of work; services are kept up by kernel/services.py.
"""

import errno
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from kernel import descriptors
from kernel.errors import HomeError
from kernel.record.resuming import WORK
from kernel.runs import GRACE, Run, ending
from kernel.services import Services
from manifests import calls, settings
from manifests.budgets import over_until
from manifests.calls import OpenCall
from manifests.errors import SettingsInvalid
from manifests.installed import Installed
from manifests.judging import judge_installed
from manifests.lives import check_requires, first_to_stop, missing, shown_state, unfit, used_up
from manifests.policy import within_state
from manifests.schedules import SCHEDULE
from manifests.seal import SEAL_FILE, Seal
from manifests.state import authority
from manifests.upgrades import ENDED
from wire import codec, headers, limits
from wire.codec import NIL
from wire.errors import Late, Refusal
from wire.ids import ID_BYTES, run_id

if TYPE_CHECKING:
    from kernel.core import Kernel

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class Supervisor:
    """Every run from its launch to its last trace."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self.services = Services(kernel)
        self._untold: set[str] = set()

    def shown_state(self, hand: Installed, run: Run | None = None) -> str:
        """The state of a Hand, or of one of its runs, in the words that people see."""
        life, working = self.services.lives.get(hand.id), [run] if run else self._runs_of(hand)
        is_working, is_ending = bool(working), any(one.ended for one in working[:1])
        state = life.state if life else "stopped"
        is_over = over_until(self._kernel.budgets.rooms([hand.id])) > 0
        return shown_state(self._kernel.state, hand, state, is_working=is_working, is_ending=is_ending, is_over=is_over)

    def begin_work(
        self, cause: OpenCall, hand: Installed, inputs: bytes, *, detached: bool, fired: str = "", depth: int = 0,
        instead: str = "", seconds: float | None = None,
    ) -> Run:  # fmt: skip
        """A task run that was asked for by start or spawn; its work is a call of its own, made in the asker's name.

        seconds: that it may take, if less than its Hand's `wall`. fired: the key of the firing that begins it, in the name of
        the schedule: nobody's above the Hand's own. depth: at least, as of OpenCall. instead: the run that it is begun
        instead of.
        """
        kernel = self._kernel
        if cause.caller in kernel.runs and kernel.runs[cause.caller].ended:
            raise Refusal(ENDED, "a run that was told to end starts nothing")
        wall = hand.package.manifest.limits.wall_ms / 1000
        deadline = kernel.loop.now() + min(wall, wall if seconds is None else seconds)
        by, parent = (cause.by, cause.parent) if not fired else (SCHEDULE, None)
        work = OpenCall(
            kernel.next_call(), cause.caller, by, b"", 0, provided=WORK, resource="", body=inputs, parent=parent,
            deadline=deadline, labels=cause.labels, most=cause.most, upload=False,
        )  # fmt: skip
        work.is_detached, work.depth = detached, max(depth, cause.depth)
        kernel.budgets.admit(by, parent, work.method, work.most, alone=detached)
        run = self._made(hand, work)
        run.parent, run.fired, run.instead = "" if detached else kernel.run_of(cause.caller), fired, instead
        kernel.resuming.begin(run, work, cause)
        self._launch(run, kernel.settings_of(hand))
        kernel.results.begin(run.id, cause.caller)
        kernel.exchange.record(work)
        kernel.state.unfinished[run.id].begin(work.labels)
        return run

    def deliver(self, call: OpenCall, hand: Installed) -> None:
        """Bring a call to a run that answers it: a fresh one of a task Hand, or the service's."""
        if not hand.is_task:
            self.services.deliver(call, hand)
            return
        try:
            self.launch(hand, call)
        except Refusal as refusal:
            self._kernel.refused_start(hand, refusal)
            self._kernel.exchange.refuse(call, refusal)

    def call_ended(self, run: Run, call: OpenCall) -> None:
        """A run has answered: a task's work is done, a service has room for the next."""
        if run.work is call:
            self.stop(run, "its work has ended")
        elif not run.is_task:
            self.services.feed(self.services.life(run.hand))

    def check_startable(self, hand: Installed) -> Seal:
        """The Hand's seal, if it may start now; else Refusal: frozen, paused, seal, trust, version, what it requires."""
        kernel, requires = self._kernel, hand.package.manifest.requires
        if kernel.is_finishing:
            raise Refusal("finishing", "the kernel is going down: `maniple up` when it is")
        if kernel.no_template:
            raise Refusal("template", f"{kernel.no_template}; `maniple start {hand.name}` tries again")
        if descriptors.are_short(8):
            raise Refusal("room", "the kernel has hardly a descriptor left: `ulimit -Hn` bounds them")
        within_state(kernel.state, hand, None, "start")
        seal = judge_installed(kernel.state, hand, kernel.time())
        check_requires(hand.name, requires, partial(os.access, mode=os.X_OK), os.environ)
        return seal

    def launch(self, hand: Installed, work: OpenCall | None) -> Run:
        """Begin a run's process. Raises Refusal, and has begun nothing then."""
        run = self._made(hand, work)
        self._launch(run, self._kernel.settings_of(hand))
        return run

    def start_again(self, run: Run) -> None:
        """Begin another process of a run that goes on. Raises Refusal, and has begun nothing then."""
        kernel, told = self._kernel, run.began.settings if run.began else {}
        _, secret = settings.apart(run.hand.package.manifest.settings, kernel.settings_of(run.hand))
        run.state = "launching"
        try:
            self._launch(run, {**told, **secret})
        except Refusal:
            run.state = "waiting"
            raise

    def _made(self, hand: Installed, work: OpenCall | None) -> Run:
        return Run(run_id(os.urandom(ID_BYTES)), hand, authority(self._kernel.state, hand), os.urandom(32), work)

    def _launch(self, run: Run, given: dict[str, object]) -> None:
        kernel, hand = self._kernel, run.hand
        seal = self.check_startable(hand)
        if run.work is not None or not hand.is_task:  # one that is replayed has no work: nobody will hear it
            within_state(kernel.state, None, hand, "start")
            self.services.start_needs(hand)
        try:
            values = settings.check(hand.package.manifest.settings, given)
            kernel.launcher.launch(
                run, files={**seal.files, SEAL_FILE: hand.seal}, settings=values, roots=kernel.state.roots
            )
        except SettingsInvalid as error:
            raise Refusal("settings", f"{hand.name} does not start: {error}") from None
        except (OSError, HomeError) as error:
            code = "room" if isinstance(error, OSError) and error.errno in _NO_ROOM else "folder"
            if isinstance(error, OSError):
                error = HomeError(missing(error, kernel.home.path))
            raise Refusal(code, f"{hand.name} does not start: {error}") from None
        if run.work is not None:
            run.work.provider = run.id
        kernel.begin_run(run)

    def ready(self, run: Run) -> None:
        """The Hand's start() has returned: its work, or the calls that wait, may come."""
        life = self.services.of(run)
        if run.state != "joining" or not run.applied:
            raise Late(0)
        run.state = "ready"
        self._tell_settings(run)
        if life is not None:
            self.services.ready(life, run)
        elif run.work is not None and self._kernel.exchange.calls.get(run.work.number) is run.work:
            if run.work.state == "open":
                self._kernel.exchange.deliver(run.work, run)
            else:
                run.serving[run.work.number] = run.work
            if run.tape is not None:
                run.tape.pump()
        else:
            self.stop(run, "its work was taken back")

    def unwant(self, hand: Installed, why: str, *, forget: bool = True, for_good: bool = True) -> None:
        """The operator does not want a Hand up any more. forget: nor at later starts; for_good: its unfinished runs end."""
        if forget and hand.id in self._kernel.state.wanted:
            self._kernel.record_state(hand, "unwanted")
        if hand.id in self.services.lives:
            self.services.stop(self.services.lives[hand.id], why, is_final=forget)
        for run in self._runs_of(hand):
            if for_good or run.tape is None or run.work is None:
                self.stop(run, why)

    def stop(self, run: Run, why: str) -> None:
        """Ask a run to end, then insist: Stop, TERM at half the grace, and KILL of its whole PID namespace after it."""
        kernel = self._kernel
        if run.ended:
            return
        if run.peer is None:
            self.kill(run, why)
            return
        run.ended, run.why = True, run.why or why
        kernel.loop.after(GRACE / 2, lambda: kernel.launcher.kill(run, signal.SIGTERM))
        kernel.loop.after(GRACE, lambda: kernel.launcher.kill(run, signal.SIGKILL))
        if run.paused:
            self._stand_still(run, still=False)
        told = headers.Stop(why=why[: limits.WHY_MAX], grace=int(GRACE * 1000), time=kernel.time())
        if run.peer is not None:  # what was held back may have been its last word
            kernel.links.send(run.peer, told, NIL)

    def kill(self, run: Run, why: str) -> None:
        """End a run's processes at once."""
        run.ended, run.why = True, run.why or why
        if run.state == "waiting":
            self._kernel.resuming.give_up(run, run.unfit)
            return
        self._kernel.launcher.kill(run, signal.SIGKILL)

    def end_as_unfit(self, run: Run, why: str) -> None:
        """End a run's processes at once, as it is not fit to go on; the first reason counts."""
        run.unfit = run.unfit or why
        self.kill(run, run.unfit)

    def kill_all(self, why: str) -> int:
        """End every run's processes at once, and let no service come back by itself."""
        runs = [run for run in self._kernel.runs.values() if run.state != "waiting"]
        self._kernel.resuming.freeze()
        for run in runs:
            self.leave(run, why)
        for life in self.services.lives.values():
            self.services.stop(life, why)
        return len(runs)

    def leave(self, run: Run, why: str) -> None:
        """End a run's processes at once; one that has a tape goes on later."""
        run.leaves = run.leaves or (run.tape is not None and not run.ended)
        self.kill(run, why)

    def stop_all(self, then: Callable[[], None]) -> None:
        """Stop every run in order, those that others need last; then call what comes then."""
        kernel = self._kernel
        kernel.is_finishing = True
        live = [run for run in kernel.runs.values() if run.state != "waiting"]
        order = first_to_stop({run.name: run.hand.package.manifest.hand.needs for run in live})
        leaving = {run.id for run in live if run.tape is not None}  # before those that answer them
        left = leaving or {run.id for run in live if run.name in order}
        if not left:
            then()
            return

        def gone(run: str) -> None:
            left.discard(run)
            if not left:
                self.stop_all(then)

        for name in sorted(left):
            run = kernel.runs[name]
            kernel.results.when_gone(name, partial(gone, name))
            if (life := self.services.of(run)) is not None:
                self.services.stop(life, "the kernel goes down")
            if run.tape is None:
                self.stop(run, "the kernel goes down")
            else:
                self.leave(run, "the kernel goes down")

    def stop_untrusted(self) -> None:
        """Stop whatever may not start any more, after a key was revoked."""
        kernel = self._kernel
        for run in list(kernel.runs.values()):
            try:
                judge_installed(kernel.state, run.hand, kernel.time())
            except Refusal as refusal:
                kernel.refused_start(run.hand, refusal)
                self.kill(run, refusal.why)  # before it could be told to stop, and act
                if kernel.state.by_id(run.hand.id) is run.hand:
                    self.unwant(run.hand, refusal.why, forget=False)

    def stand_still(self, hand: Installed, *, still: bool) -> None:
        """Pause or resume what runs of a Hand: its processes, and the deadlines of the calls at it and by it."""
        self._kernel.exchange.stand_still()
        for run in self._runs_of(hand):
            self._stand_still(run, still=still)
        if not still:
            self._kernel.resuming.try_again()
            self.services.start_wanted()
            if hand.id in self.services.lives:
                self.services.feed(self.services.lives[hand.id])

    def _stand_still(self, run: Run, *, still: bool) -> None:
        if run.state == "waiting":
            return
        run.paused = still
        self._kernel.launcher.stand_still(run)
        if not still:
            self._kernel.router.release(run)

    def regrant(self, hand: Installed) -> None:
        """What was granted or taken back holds from the next call on, in whosever name, and for events heard."""
        kernel = self._kernel
        for run in self._runs_of(hand):
            run.grants = authority(kernel.state, run.hand)
        now = authority(kernel.state, kernel.state.by_id(hand.id) or hand)
        calls.regrant(kernel.exchange.calls.values(), hand.id, now, {run.id: run.grants for run in self._runs_of(hand)})
        kernel.events.recheck()

    def reroot(self, *, at_once: bool) -> None:
        """Roots are opened when a run starts: the services that hold some stop, and start again at their next call.

        at_once: one of them is taken back; else each as soon as no call is open at it.
        """
        for life in self.services.lives.values():
            if life.run is not None and life.hand.package.manifest.confinement.roots:
                life.is_stale = True
                if at_once or not life.run.serving:
                    self.services.stop(life, "the roots have changed")

    def tell_settings(self, hand: str) -> None:
        """Tell a Hand's runs its settings; one without a link yet when it is ready."""
        for run in self._kernel.runs.values():
            if run.hand.id == hand and self._kernel.state.hands[run.name].seal == run.hand.seal:
                self._untold.add(run.id)
                self._tell_settings(run)

    def _tell_settings(self, run: Run) -> None:
        if run.id in self._untold and run.peer is not None:
            self._untold.discard(run.id)
            body = codec.encode_body(self._kernel.settings_of(run.hand))
            self._kernel.events.give(run.peer, "kernel.settings", (), body)

    def gone(self, run: Run, status: int) -> None:
        """A run's process has ended: end what was open at it and by it, and decide what comes after."""
        kernel, life = self._kernel, self.services.of(run)
        if kernel.resuming.takes(run, status):
            kernel.results.gone(run.id)
            return
        was_told, is_lost = run.ended and not run.unfit, status < 0 and not run.unfit
        clean = was_told or (status == 0 and not run.unfit)
        is_killed = status >= 0 and os.WIFSIGNALED(status)
        killed = used_up(run.hand.package.manifest, run.before + run.cpu) if is_killed else ""
        run.ended, run.why = True, run.why or run.unfit or killed or ending(status)
        if (refusal := unfit(run.name, run.unfit)) is not None:
            kernel.refused_start(run.hand, refusal)
        if run.work is not None and refusal is not None:
            kernel.exchange.refuse(run.work, refusal)
        elif run.work is not None:
            kernel.exchange.fail(run.work, "ended", f"run ended: {run.why}")
        kernel.resuming.close(run)
        may_repeat = life is not None and not life.is_final
        again = kernel.exchange.provider_died(run, is_crash=not (was_told or is_lost), may_repeat=may_repeat)
        self._untold.discard(run.id)
        kernel.end_run(run, status, clean=clean)
        for child in list(kernel.runs.values()):
            if child.parent == run.id:
                self.stop(child, "the run that spawned it has ended")
        if life is not None and refusal is not None:
            self.services.abandon(life, refusal)
        elif life is not None:
            self.services.died(life, run, again, clean=clean, is_lost=is_lost)

    def _runs_of(self, hand: Installed) -> list[Run]:
        return [run for run in self._kernel.runs.values() if run.hand.id == hand.id]
