"""Which Hands run (acts on what manifests/lives.py decides): starts, restarts, stops, and work for task runs.

A service starts at its first call, or when the operator wants it, and stops when idle; a task Hand has a fresh run per
call. A Hand starts only if its seal, trust, version and revocation are right at that moment, and what it requires is there.
"""

import os
import random
import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from kernel.calls import OpenCall
from kernel.loop import Timer
from kernel.runs import Run
from manifests import changes, settings
from manifests.errors import SettingsInvalid
from manifests.lives import backoff, ending, first_to_stop, step, verdict_after_death
from manifests.schema import Provided
from manifests.seal import Seal
from manifests.state import Installed, authority
from wire import headers, limits
from wire.codec import NIL
from wire.errors import Refusal
from wire.ids import ID_BYTES, run_id
from wire.rates import Turns

if TYPE_CHECKING:
    from kernel.core import Kernel

GRACE: Final = 5.0
"""Seconds between asking a run to stop and killing its PID namespace; at half of it, it is sent TERM."""

_WORK: Final = Provided(method="run", summary="The work of a task run", resource="none", effect="external")


class Life:
    """What there is of one service now. waiting: calls not delivered yet, in turns; waiters: starts not answered yet."""

    __slots__ = ("deaths", "hand", "idle", "restart", "run", "state", "waiters", "waiting", "watched")

    def __init__(self, hand: Installed) -> None:
        self.hand = hand
        self.state = "stopped"
        self.run: Run | None = None
        self.deaths: tuple[float, ...] = ()
        self.waiting = Turns()
        self.waiters: list[OpenCall] = []
        self.idle: Timer | None = None
        self.restart: Timer | None = None
        self.watched = False


class Supervisor:
    """Every Hand's life, and every run's beginning and end."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self._lives: dict[str, Life] = {}

    def life(self, hand: Installed) -> Life:
        """The life of a service, `stopped` before its first start."""
        life = self._lives.setdefault(hand.id, Life(hand))
        life.hand = hand
        return life

    def shown_state(self, hand: Installed, run: Run | None = None) -> str:
        """The state of a Hand, or of one of its runs, in the words that people see."""
        kernel = self._kernel
        if hand.id in kernel.state.paused:
            return "paused"
        if hand.is_task:
            working = [run] if run else [one for one in kernel.runs.values() if one.hand.id == hand.id]
            return "idle" if not working else "stopping" if working[0].ended else "working"
        life = self._lives.get(hand.id)
        if hand.id in kernel.state.quarantined:
            return "quarantined"
        return life.state if life else "stopped"

    def begin_work(self, cause: OpenCall, hand: Installed, inputs: bytes, *, detached: bool) -> Run:
        """A task run that was asked for by start or spawn; its work is a call of its own, made in the asker's name."""
        kernel = self._kernel
        now = kernel.loop.now()
        work = OpenCall(
            kernel.next_call(), cause.caller, cause.by, b"", 0, provided=_WORK, resource="", body=inputs, parent=cause.parent,
            deadline=now + hand.package.manifest.limits.wall_ms / 1000, labels=cause.labels, most=cause.most, upload=False,
        )  # fmt: skip
        run = self._launch(hand, work)
        kernel.results.begin(run.id, cause.caller)
        kernel.exchange.record(work)
        if detached and work.parent is not None:
            work.parent.children.pop(work.number)
        elif not detached:
            run.parent = kernel.run_of(cause.caller)
        return run

    def deliver(self, call: OpenCall, hand: Installed) -> None:
        """Bring a call to a run that answers it: a fresh one of a task Hand, or the service's in its turn."""
        if not hand.is_task:
            life = self.life(hand)
            life.waiting.add(call.caller, call.number)
            self._feed(life)
            return
        try:
            self._launch(hand, call)
        except Refusal as refusal:
            self._kernel.refused_start(hand, refusal)
            self._kernel.exchange.refuse(call, refusal)

    def _feed(self, life: Life) -> None:
        kernel, run, manifest = self._kernel, life.run, life.hand.package.manifest
        if life.idle is not None:
            life.idle.cancel()
            life.idle = None
        if life.state == "stopped" and life.waiting:
            self._start(life)
        if life.state != "ready" or run is None or run.ended:
            return
        while len(run.serving) < manifest.limits.in_flight and (number := life.waiting.next()) is not None:
            call = kernel.exchange.calls.get(number)
            if call is not None:
                kernel.exchange.deliver(call, run)
        if run.serving and not life.watched:
            life.watched = True
            kernel.loop.after(1.0, lambda: self._watch_cpu(life))
        if not run.serving and life.hand.id not in kernel.state.wanted:
            life.idle = kernel.loop.after(manifest.hand.idle_ms / 1000, lambda: self._idle(life))

    def _idle(self, life: Life) -> None:
        if life.state == "ready" and life.run is not None and not life.run.serving and not life.run.paused:
            needed = any(life.hand.name in run.hand.package.manifest.hand.needs for run in self._kernel.runs.values())
            if needed:
                self._feed(life)
            else:
                self._stop(life, "idle")

    def _watch_cpu(self, life: Life) -> None:
        """Each second while a service answers: one that used more processor time than a call may is ended, and the call."""
        kernel, run, most = self._kernel, life.run, life.hand.package.manifest.limits.cpu_ms / 1000
        life.watched = run is not None and bool(run.serving)
        if run is None or not life.watched:
            return
        now = run.cpu_seconds()
        for call in [one for one in run.serving.values() if now - one.cpu_before > most]:
            kernel.exchange.fail(call, "cpu", f"{call.method} used more than its {most:g} s of processor time")
            run.why = f"a call used more than its {most:g} s of processor time"
            kernel.launcher.kill(run, signal.SIGKILL)
        kernel.loop.after(1.0, lambda: self._watch_cpu(life))

    def call_ended(self, run: Run, call: OpenCall) -> None:
        """A run has answered: a task's work is done, a service has room for the next."""
        if run.work is call:
            self.stop(run, "its work has ended")
        elif not run.is_task:
            self._feed(self.life(run.hand))

    def want(self, hand: Installed, call: OpenCall, *, again: bool) -> object:
        """The operator wants a service up; the answer when it is, or None: the call is answered when it is ready."""
        self._check_startable(hand)
        self._kernel.record_state(hand, "wanted")
        life = self.life(hand)
        if life.state == "ready" and not again and life.run is not None:
            return {"run": life.run.id, "state": "ready"}
        life.waiters.append(call)
        if life.state in ("starting", "ready") and again:
            self._stop(life, "restarted by its operator")
        elif life.state in ("stopped", "backing_off", "quarantined"):
            self._start(life)
        return None

    def start_wanted(self) -> None:
        """Start every service that is wanted and is not up."""
        kernel = self._kernel
        if kernel.state.frozen:
            return
        for hand in list(kernel.state.hands.values()):
            life = self.life(hand)
            usable = hand.id not in kernel.state.paused and hand.id not in kernel.state.quarantined
            if hand.id in kernel.state.wanted and usable and life.state == "stopped":
                self._start(life)

    def _start(self, life: Life) -> None:
        """Start a service, its needs first. One that may not start ends its waiting calls as Refused."""
        kernel = self._kernel
        if life.restart is not None:
            life.restart.cancel()
            life.restart = None
        try:
            for name in life.hand.package.manifest.hand.needs:
                needed = kernel.state.hands.get(name)
                if needed is None:
                    raise Refusal("needs", f"{life.hand.name} needs {name}, which is not installed")
                if not needed.is_task and self.life(needed).state == "stopped":
                    self._start(self.life(needed))
            life.run = self._launch(life.hand, None)
            life.state = step(life.state, "start")
        except Refusal as refusal:
            kernel.refused_start(life.hand, refusal)
            self._abandon(life, refusal)

    def _abandon(self, life: Life, refusal: Refusal, state: str = "stopped") -> None:
        """Nobody waits for this service any more."""
        life.state, life.run = state, None
        ends, life.waiters = life.waiters, []
        while (number := life.waiting.next()) is not None:
            call = self._kernel.exchange.calls.get(number)
            ends += [call] if call else []
        for call in ends:
            self._kernel.exchange.refuse(call, refusal)

    def _check_startable(self, hand: Installed) -> Seal:
        """The Hand's seal, if it may start now; else Refusal: frozen, paused, seal, trust, version, what it requires."""
        kernel, requires = self._kernel, hand.package.manifest.requires
        if kernel.state.frozen:
            raise Refusal("frozen", "everything is frozen: `maniple thaw` lets it go on")
        if hand.id in kernel.state.paused:
            raise Refusal("paused", f"{hand.name} is paused: `maniple resume {hand.name}`")
        seal = changes.judge(kernel.state, hand.package, kernel.time())
        path = os.environ.get("PATH", os.defpath).split(":")
        for binary in requires.binaries:
            if not any(os.access(os.path.join(folder, binary), os.X_OK) for folder in path):
                raise Refusal("requires", f"{hand.name} requires the program {binary}: install it, then start again")
        for variable in requires.env:
            if variable not in os.environ:
                raise Refusal(
                    "requires", f"{hand.name} requires ${variable}: set it, then `maniple down` and `maniple up`"
                )
        return seal

    def _launch(self, hand: Installed, work: OpenCall | None) -> Run:
        """Begin a run's process. Raises Refusal, and has begun nothing then."""
        kernel = self._kernel
        seal = self._check_startable(hand)
        try:
            values = settings.check(hand.package.manifest.settings, kernel.settings_of(hand))
        except SettingsInvalid as error:
            raise Refusal("settings", f"{hand.name} does not start: {'; '.join(error.problems)}") from None
        run = Run(run_id(os.urandom(ID_BYTES)), hand, authority(kernel.state, hand), os.urandom(32), work)
        try:
            kernel.launcher.launch(run, files=seal.files, settings=values, roots=kernel.state.roots)
        except OSError as error:
            raise Refusal("folder", f"{hand.name} does not start: {error}") from None
        if work is not None:
            work.provider = run.id
        kernel.begin_run(run)
        return run

    def ready(self, run: Run) -> None:
        """The Hand's start() has returned: its work, or the calls that wait, may come."""
        kernel = self._kernel
        if run.state != "joining":
            return
        run.state = "ready"
        if run.work is not None:
            if run.work.number in kernel.exchange.calls:
                kernel.exchange.deliver(run.work, run)
            else:
                self.stop(run, "its work was taken back")
            return
        life = self.life(run.hand)
        if life.run is not run or life.state != "starting":
            return
        life.state = step(life.state, "ready")
        kernel.record("hand.ready", principal=run.id, run=run.id, detail={"hand": run.hand.id, "name": run.name})
        waiters, life.waiters = life.waiters, []
        for call in waiters:
            kernel.answer(call, {"run": run.id, "state": "ready"})
        self._feed(life)

    def unwant(self, hand: Installed, why: str, *, forget: bool = True) -> None:
        """The operator does not want a Hand up any more. forget: nor at later starts."""
        if forget and hand.id in self._kernel.state.wanted:
            self._kernel.record_state(hand, "unwanted")
        for run in [one for one in self._kernel.runs.values() if one.hand.id == hand.id and one.is_task]:
            self.stop(run, why)
        life = self._lives.get(hand.id)
        if life is not None and life.state != "stopped":
            self._stop(life, why)
            self._abandon_if_down(life, why)

    def _abandon_if_down(self, life: Life, why: str) -> None:
        if life.state == "stopped":
            self._abandon(life, Refusal("stopped", f"{life.hand.name} was {why}"))

    def _stop(self, life: Life, why: str) -> None:
        if life.restart is not None:
            life.restart.cancel()
            life.restart = None
        life.state = step(life.state, "stop")
        if life.run is not None:
            self.stop(life.run, why)

    def stop(self, run: Run, why: str, grace: float = GRACE) -> None:
        """Ask a run to end, then insist: Stop, TERM at half the grace, and KILL of its whole PID namespace after it."""
        kernel = self._kernel
        if run.ended and grace > 0:
            return
        run.ended = True
        run.why = run.why or why
        if run.peer is None or grace <= 0:
            kernel.launcher.kill(run, signal.SIGKILL)
            return
        if run.paused:
            kernel.launcher.kill(run, signal.SIGCONT)
        kernel.send(run.peer, headers.Stop(why=why[: limits.WHY_MAX], grace=int(grace * 1000), time=kernel.time()), NIL)
        kernel.loop.after(grace / 2, lambda: kernel.launcher.kill(run, signal.SIGTERM))
        kernel.loop.after(grace, lambda: kernel.launcher.kill(run, signal.SIGKILL))

    def kill_all(self, why: str) -> int:
        """End every run's process at once."""
        runs = list(self._kernel.runs.values())
        for run in runs:
            life = self._lives.get(run.hand.id)
            if life is not None and life.run is run:
                life.state = step(life.state, "stop")
            self.stop(run, why, grace=0)
        for life in self._lives.values():
            if life.state == "backing_off":
                self._stop(life, why)
            self._abandon_if_down(life, why)
        return len(runs)

    def stop_all(self, then: Callable[[], None]) -> None:
        """Stop every run in order, those that others need last; then call what comes then."""
        kernel = self._kernel
        runs = list(kernel.runs.values())
        if not runs:
            then()
            return
        order = first_to_stop({run.name: run.hand.package.manifest.hand.needs for run in runs})
        first = [run for run in runs if run.name in order]
        left = {run.id for run in first}

        def gone(run: str) -> None:
            left.discard(run)
            if not left:
                self.stop_all(then)

        for run in first:
            kernel.results.when_gone(run.id, partial(gone, run.id))
            life = self._lives.get(run.hand.id)
            if life is not None and life.run is run and life.state != "stopping":
                self._stop(life, "the kernel goes down")
            self.stop(run, "the kernel goes down")

    def stop_untrusted(self) -> list[str]:
        """Stop whatever may not start any more, after a key was revoked."""
        kernel, stopped = self._kernel, []
        for run in list(kernel.runs.values()):
            try:
                changes.judge(kernel.state, run.hand.package, kernel.time())
            except Refusal as refusal:
                kernel.refused_start(run.hand, refusal)
                self.unwant(run.hand, refusal.why, forget=False)
                stopped.append(run.name)
        return sorted(set(stopped))

    def stand_still(self, hand: Installed, *, still: bool) -> None:
        """Pause or resume what runs of a Hand: its processes, and the deadlines of the calls at it and by it."""
        kernel = self._kernel
        for run in kernel.runs.values():
            if run.hand.id == hand.id:
                run.paused = still
                kernel.launcher.kill(run, signal.SIGSTOP if still else signal.SIGCONT)
                kernel.exchange.stand_still(run, still=still)
        if not still:
            self.start_wanted()

    def regrant(self, hand: Installed) -> None:
        """What was granted or taken back holds for live runs from their next call on."""
        for run in self._kernel.runs.values():
            if run.hand.id == hand.id:
                run.grants = authority(self._kernel.state, hand)

    def reroot(self) -> None:
        """Roots are opened when a run starts: the services that hold some start again at their next call."""
        for life in list(self._lives.values()):
            if life.hand.package.manifest.confinement.roots and life.state in ("starting", "ready"):
                self._stop(life, "the roots have changed")

    def gone(self, run: Run, status: int) -> None:
        """A run's process has ended: end what was open at it and by it, and decide what comes after."""
        kernel = self._kernel
        clean = (status == 0 or run.ended) and not run.unfit
        run.why = run.why or run.unfit or ending(status)
        altered = Refusal("seal", f"{run.name} does not start: {run.unfit[9:]}: seal and install it again")
        is_altered = run.unfit.startswith("altered: ")
        if is_altered:
            kernel.refused_start(run.hand, altered)
        if run.work is not None and run.work.number in kernel.exchange.calls:
            if is_altered:
                kernel.exchange.refuse(run.work, altered)
            else:
                kernel.exchange.fail(run.work, "ended", f"run ended: {run.why}")
        again = kernel.exchange.provider_died(run)
        kernel.end_run(run, status, clean=clean)
        for child in list(kernel.runs.values()):
            if child.parent == run.id:
                self.stop(child, "the run that spawned it has ended")
        life = self._lives.get(run.hand.id)
        if life is not None and life.run is run:
            for call in again:
                life.waiting.add(call.caller, call.number)
            life.run = None
            if is_altered:
                self._abandon(life, altered)
            else:
                self._service_died(life, run, clean=clean)

    def _service_died(self, life: Life, run: Run, *, clean: bool) -> None:
        kernel, now = self._kernel, self._kernel.loop.now()
        was_stopping = life.state == "stopping"
        life.state = step(life.state, "died")
        if was_stopping:
            wanted = life.hand.id in kernel.state.wanted or life.waiting or life.waiters
            if wanted and not kernel.finishing and not kernel.state.frozen and kernel.state.by_id(life.hand.id):
                self._start(life)
            else:
                self._abandon(life, Refusal("stopped", f"{run.name} was stopped: {run.why}"))
            return
        if not clean:
            life.deaths = (*life.deaths[-63:], now)
        restart = life.hand.package.manifest.restart
        match verdict_after_death(restart, clean=clean, deaths=life.deaths, now=now):
            case "start":
                wait = backoff(len(life.deaths), random.random())
                kernel.record_state(life.hand, "backing_off", f"{run.why}; starts again in {wait:.1f} s")
                life.restart = kernel.loop.after(wait, lambda: self._restart(life))
            case "give_up":
                why = f"it died more than {restart.times} times within {restart.within_ms / 1000:g} s, last: {run.why}"
                kernel.record_state(life.hand, "quarantined", why)
                life.deaths = ()
                mend = f"{run.name} is quarantined ({why}): `maniple start {run.name}`"
                self._abandon(life, Refusal("quarantined", mend), step(life.state, "give_up"))
            case _:
                self._abandon(life, Refusal("ended", f"{run.name} ended: {run.why}"), step(life.state, "done"))

    def _restart(self, life: Life) -> None:
        life.restart = None
        if life.state != "backing_off":
            return
        if life.waiting or life.waiters or life.hand.id in self._kernel.state.wanted:
            self._start(life)
        else:
            life.state = step(life.state, "done")
