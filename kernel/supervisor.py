"""Starts and ends runs (acts): checks whether one may start, acts on its end, and stops all of them in order.

A Hand starts only if its seal, trust, version and revocation are valid at that moment, and what it requires is present. A
task Hand gets a fresh run for each piece of work; kernel/services.py keeps services up.
"""

import errno
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from kernel import descriptors
from kernel.errors import HomeError
from kernel.record.resuming import WORK
from kernel.runs import GRACE, Run, exit_text
from kernel.services import Services
from manifests import calls, settings
from manifests.budgets import used_up_until
from manifests.calls import OpenCall
from manifests.errors import SettingsInvalid
from manifests.installed import Installed
from manifests.judging import judge_installed
from manifests.lives import check_requires, cpu_used_up, explain_start_error, first_to_stop, shown_state, start_refusal
from manifests.policy import check_state
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
    """All runs, from their launch to their end."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self.services = Services(kernel)
        self._settings_due: set[str] = set()

    def shown_state(self, hand: Installed, run: Run | None = None) -> str:
        """Return the state of a Hand, or of one of its runs, in the words that people see."""
        life, working = self.services.lives.get(hand.id), [run] if run else self._runs_of(hand)
        is_working, is_ending = bool(working), any(run.is_ending for run in working[:1])
        state = life.state if life else "stopped"
        is_over = used_up_until(self._kernel.budgets.rooms([hand.id])) > 0
        return shown_state(self._kernel.state, hand, state, is_working=is_working, is_ending=is_ending, is_over=is_over)

    def start_task_run(
        self, cause: OpenCall, hand: Installed, inputs: bytes, *, detached: bool, fired: str = "", depth: int = 0,
        instead: str = "", seconds: float | None = None,
    ) -> Run:  # fmt: skip
        """Start a task run for the call `cause` (start or spawn). Its work is a call of its own, made for the same principal.

        detached: the run outlives its cause. fired: the key of the schedule's firing that starts it; the run then acts for
        the schedule, with no authority but its Hand's own. depth: a lower bound, see OpenCall. instead: the run that it
        replaces. seconds: its time limit, if shorter than its Hand's `wall`. Raises Refusal if nothing was started.
        """
        kernel = self._kernel
        if cause.caller in kernel.runs and kernel.runs[cause.caller].is_ending:
            raise Refusal(ENDED, "a run that was told to end cannot start another")
        wall = hand.package.manifest.limits.wall_ms / 1000
        deadline = kernel.loop.now() + min(wall, wall if seconds is None else seconds)
        by, parent = (replace(cause.by, spawns=True), cause.parent) if not fired else (SCHEDULE, None)
        work = OpenCall(
            kernel.next_call(), cause.caller, by, b"", 0, provided=WORK, resource="", body=inputs, parent=parent,
            deadline=deadline, labels=cause.labels, most=cause.most, upload=False,
        )  # fmt: skip
        work.is_detached, work.depth, work.secret = detached, max(depth, cause.depth), cause.secret
        kernel.budgets.admit(by, parent, work.method, work.most, alone=detached)
        run = self._new_run(hand, work)
        run.parent, run.fired, run.instead = "" if detached else cause.run, fired, instead
        kernel.resuming.give_tape(run, work, cause)
        self._launch(run, kernel.settings_of(hand))
        kernel.results.begin(run.id, cause.caller)
        kernel.exchange.record(work)
        kernel.state.unfinished[run.id].begin(work.labels)
        return run

    def deliver(self, call: OpenCall, hand: Installed) -> None:
        """Deliver a call to a fresh run of a task Hand, or to the service; refuse it if that may not start."""
        if not hand.is_task:
            self.services.deliver(call, hand)
            return
        try:
            self.launch(hand, call)
        except Refusal as refusal:
            self._kernel.log_refused_start(hand, refusal)
            self._kernel.exchange.refuse(call, refusal)

    def on_call_end(self, run: Run, call: OpenCall) -> None:
        """After a call at a run ended: stop the run if the call was its work; deliver a service's next calls."""
        if run.work is call:
            self.stop(run, "its work has ended")
        elif not run.is_task:
            self.services.feed(self.services.ensure_life(run.hand))

    def check_startable(self, hand: Installed) -> Seal:
        """Return the Hand's seal if it may start now. Raises Refusal: the home is frozen, the Hand is paused, its seal, trust
        or version is not valid, or something that it requires is missing.
        """
        kernel, requires = self._kernel, hand.package.manifest.requires
        if kernel.is_finishing:
            raise Refusal("finishing", "the kernel is going down: `maniple up` when it is")
        if kernel.no_template:
            raise Refusal("template", f"{kernel.no_template}; `maniple start {hand.name}` tries again")
        if descriptors.are_short(8):
            raise Refusal("room", "the kernel has almost no file descriptors left: `ulimit -Hn` limits them")
        check_state(kernel.state, hand, None, "start")
        seal = judge_installed(kernel.state, hand, kernel.time())
        check_requires(hand.name, requires, partial(os.access, mode=os.X_OK), os.environ)
        return seal

    def launch(self, hand: Installed, work: OpenCall | None) -> Run:
        """Start a run. Raises Refusal if nothing was started."""
        run = self._new_run(hand, work)
        self._launch(run, self._kernel.settings_of(hand))
        return run

    def start_again(self, run: Run) -> None:
        """Start the next process of a run that resumes. Raises Refusal if nothing was started."""
        kernel, recorded = self._kernel, run.began.settings if run.began else {}
        _, secret = settings.split_secrets(run.hand.package.manifest.settings, kernel.settings_of(run.hand))
        run.state = "launching"
        try:
            self._launch(run, {**recorded, **secret})
        except Refusal:
            run.state = "waiting"
            raise

    def _new_run(self, hand: Installed, work: OpenCall | None) -> Run:
        """Return a new run of a Hand, with a random id and the Hand's present grants."""
        return Run(run_id(os.urandom(ID_BYTES)), hand, authority(self._kernel.state, hand), os.urandom(32), work)

    def _launch(self, run: Run, given: dict[str, object]) -> None:
        """Start a run's process with these settings, and the services that its Hand needs. Raises Refusal."""
        kernel, hand = self._kernel, run.hand
        seal = self.check_startable(hand)
        if run.work is not None or not hand.is_task:  # a replay has no work, and its calls reach no provider
            check_state(kernel.state, None, hand, "start")
            self.services.start_needs(hand)
        try:
            values = settings.check(hand.package.manifest.settings, given)
            files = {**seal.files, SEAL_FILE: hand.seal}
            kernel.launcher.launch(run, files=files, settings=values, roots=kernel.state.roots)
        except SettingsInvalid as error:
            raise Refusal("settings", f"{hand.name} does not start: {error}") from None
        except (OSError, HomeError) as error:
            code = "room" if isinstance(error, OSError) and error.errno in _NO_ROOM else "folder"
            if isinstance(error, OSError):
                error = HomeError(explain_start_error(error, kernel.home.path))
            raise Refusal(code, f"{hand.name} does not start: {error}") from None
        if run.work is not None:
            run.work.provider = run.id
        kernel.begin_run(run)

    def on_ready(self, run: Run) -> None:
        """After a Hand's start() returned: deliver the run's work, or the calls that wait for the service."""
        life = self.services.life_of(run)
        if run.state != "joining" or not run.applied:
            raise Late(0)
        run.state = "ready"
        self._send_due_settings(run)
        if life is not None:
            self.services.on_ready(life, run)
        elif run.work is not None and self._kernel.exchange.calls.get(run.work.number) is run.work:
            if run.work.state == "open":
                self._kernel.exchange.deliver(run.work, run)
            else:
                run.serving[run.work.number] = run.work
            if run.tape is not None:
                run.tape.pump()
        else:
            self.stop(run, "its work was cancelled")

    def stop_hand(self, hand: Installed, why: str, *, forget: bool = True, for_good: bool = True) -> None:
        """Stop a Hand's runs. forget: no longer start it with the kernel. for_good: also end runs that could resume."""
        if forget and hand.id in self._kernel.state.wanted:
            self._kernel.record_state(hand, "unwanted")
        if hand.id in self.services.lives:
            self.services.stop(self.services.lives[hand.id], why, is_final=forget)
        for run in self._runs_of(hand):
            if for_good or run.tape is None or run.work is None:
                self.stop(run, why)

    def stop(self, run: Run, why: str) -> None:
        """Stop a run in steps: send Stop, then TERM after half of GRACE, then KILL to its PID namespace after GRACE."""
        kernel = self._kernel
        if run.is_ending:
            return
        if run.peer is None:
            self.kill(run, why)
            return
        run.is_ending, run.why = True, run.why or why
        kernel.loop.after(GRACE / 2, lambda: kernel.launcher.kill(run, signal.SIGTERM))
        kernel.loop.after(GRACE, lambda: kernel.launcher.kill(run, signal.SIGKILL))
        if run.paused:
            self._set_paused(run, paused=False)
        header = headers.Stop(why=why[: limits.WHY_MAX], grace=int(GRACE * 1000), time=kernel.time())
        if run.peer is not None:  # a Bye may have been among the messages held back by the pause
            kernel.links.send(run.peer, header, NIL)

    def kill(self, run: Run, why: str) -> None:
        """Kill a run's processes."""
        run.is_ending, run.why = True, run.why or why
        if run.state == "waiting":
            self._kernel.resuming.give_up(run, run.unfit)
            return
        self._kernel.launcher.kill(run, signal.SIGKILL)

    def end_as_unfit(self, run: Run, why: str) -> None:
        """Kill a run's processes, because it broke a rule or a limit and may not go on. The first reason is kept."""
        run.unfit = run.unfit or why
        self.kill(run, run.unfit)

    def kill_all(self, why: str) -> int:
        """Kill every run's processes, and restart no service. Returns the number of runs killed."""
        runs = [run for run in self._kernel.runs.values() if run.state != "waiting"]
        self._kernel.resuming.put_all_back()
        for run in runs:
            self.kill_to_resume(run, why)
        for life in self.services.lives.values():
            self.services.stop(life, why)
        return len(runs)

    def kill_to_resume(self, run: Run, why: str) -> None:
        """Kill a run's processes. A run that has a tape resumes later."""
        run.is_leaving = run.is_leaving or (run.tape is not None and not run.is_ending)
        self.kill(run, why)

    def stop_all(self, then: Callable[[], None]) -> None:
        """Stop all runs in order: callers before their providers, Hands before those they need. Then call `then`."""
        kernel = self._kernel
        kernel.is_finishing = True
        live = [run for run in kernel.runs.values() if run.state != "waiting"]
        order = first_to_stop({run.name: run.hand.package.manifest.hand.needs for run in live})
        resumable = {run.id for run in live if run.tape is not None}  # callers end before their providers
        left = resumable or {run.id for run in live if run.name in order}
        if not left:
            then()
            return

        def on_reaped(run: str) -> None:
            left.discard(run)
            if not left:
                self.stop_all(then)

        for run in [kernel.runs[name] for name in sorted(left)]:
            kernel.results.when_reaped(run.id, partial(on_reaped, run.id))
            if (life := self.services.life_of(run)) is not None:
                self.services.stop(life, "the kernel goes down")
            if run.tape is None:
                self.stop(run, "the kernel goes down")
            else:
                self.kill_to_resume(run, "the kernel goes down")

    def stop_untrusted(self) -> None:
        """After a key was revoked: kill the runs of Hands that may no longer start."""
        kernel = self._kernel
        for run in list(kernel.runs.values()):
            try:
                judge_installed(kernel.state, run.hand, kernel.time())
            except Refusal as refusal:
                kernel.log_refused_start(run.hand, refusal)
                self.kill(run, refusal.why)  # Stop would give it GRACE to go on acting
                if kernel.state.by_id(run.hand.id) is run.hand:
                    self.stop_hand(run.hand, refusal.why, forget=False)

    def set_paused(self, hand: Installed, *, paused: bool) -> None:
        """Pause or resume a Hand: its processes, and the deadlines of the calls by it and at it."""
        self._kernel.exchange.update_clocks()
        for run in self._runs_of(hand):
            self._set_paused(run, paused=paused)
        if not paused:
            self._kernel.resuming.start_waiting()
            self.services.start_wanted()
            for life in list(self.services.lives.values()):  # calls of this Hand may wait for any of them
                self.services.feed(life)

    def _set_paused(self, run: Run, *, paused: bool) -> None:
        """Pause or resume the processes of a run."""
        if run.state == "waiting":
            return
        run.paused, run.still_at = paused, -1.0
        self._kernel.launcher.apply_pause(run)
        if not paused:
            self._kernel.router.release(run)

    def apply_grants(self, hand: Installed) -> None:
        """Apply changed grants to a Hand's next calls, to calls made for it by others, and to all subscriptions."""
        kernel = self._kernel
        for run in self._runs_of(hand):
            run.grants = authority(kernel.state, run.hand)
        now = authority(kernel.state, kernel.state.by_id(hand.id) or hand)
        calls.regrant(kernel.exchange.calls.values(), hand.id, now, {run.id: run.grants for run in self._runs_of(hand)})
        kernel.events.recheck()

    def apply_roots(self, *, at_once: bool) -> None:
        """After a change of roots, which a run opens at its start: stop services that use roots, until their next call.

        at_once: a root was removed, so they stop at once; otherwise each stops when no call is open at it.
        """
        for life in self.services.lives.values():
            if life.run is not None and life.hand.package.manifest.confinement.roots:
                life.is_stale = True
                if at_once or not life.run.serving:
                    self.services.stop(life, "the roots have changed")

    def send_settings(self, hand: str) -> None:
        """Send a Hand's settings to its runs of the installed version; to a run that is starting, when it is ready."""
        for run in self._kernel.runs.values():
            if run.hand.id == hand and (now := self._kernel.state.by_id(hand)) and now.seal == run.hand.seal:
                self._settings_due.add(run.id)
                self._send_due_settings(run)

    def _send_due_settings(self, run: Run) -> None:
        """Send settings that a run has not got yet, if it is connected."""
        if run.id in self._settings_due and run.peer is not None:
            self._settings_due.discard(run.id)
            body = codec.encode_body(self._kernel.settings_of(run.hand))
            self._kernel.events.deliver(run.peer, "kernel.settings", (), body)

    def on_process_end(self, run: Run, status: int) -> None:
        """After a run's process ended: resume it, or end it with the calls at it and by it; restart a service.

        status: of waitpid, -1 if nobody saw the end.
        """
        kernel, life = self._kernel, self.services.life_of(run)
        if kernel.resuming.keep_for_resume(run, status):
            kernel.results.on_reaped(run.id)
            return
        was_told, is_lost = run.is_ending and not run.unfit, status < 0 and not run.unfit
        clean = was_told or (status == 0 and not run.unfit)
        is_killed = status >= 0 and os.WIFSIGNALED(status)
        killed = cpu_used_up(run.hand.package.manifest, run.earlier_cpu + run.cpu) if is_killed else ""
        run.is_ending, run.why = True, run.why or run.unfit or killed or exit_text(status)
        if (refusal := start_refusal(run.name, run.unfit)) is not None:
            kernel.log_refused_start(run.hand, refusal)
        if run.work is not None and refusal is not None:
            kernel.exchange.refuse(run.work, refusal)
        elif run.work is not None:
            kernel.exchange.fail(run.work, "ended", f"run ended: {run.why}")
        kernel.resuming.close(run)
        may_repeat = life is not None and not life.is_final
        again = kernel.exchange.end_calls_at(run, is_crash=not (was_told or is_lost), may_repeat=may_repeat)
        self._settings_due.discard(run.id)
        kernel.end_run(run, status, clean=clean)
        for child in list(kernel.runs.values()):
            if child.parent == run.id:
                self.stop(child, "the run that spawned it has ended")
        if life is not None and refusal is not None:
            self.services.abandon(life, refusal)
        elif life is not None:
            self.services.on_death(life, run, again, clean=clean, is_lost=is_lost)

    def _runs_of(self, hand: Installed) -> list[Run]:
        return [run for run in self._kernel.runs.values() if run.hand.id == hand.id]
