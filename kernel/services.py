"""Services (acts on what manifests/lives.py decides): started on demand, restarted, stopped when idle, given up.

A service starts at its first call, after the services that it needs, and stops after its `idle` time without a call unless
the operator wants it up. If it may not start or is given up, the calls that wait for it end in Refused.
"""

import random
from functools import partial
from typing import TYPE_CHECKING, Final

from kernel.loop import Timer
from kernel.runs import Run
from manifests.calls import OpenCall
from manifests.holding import crowding_hands
from manifests.installed import Installed
from manifests.lives import after_death, backoff, ended_refusal, step
from manifests.policy import quarantine_refusal
from manifests.sharing import Shares
from wire.errors import Refusal
from wire.rates import Turns

if TYPE_CHECKING:
    from kernel.core import Kernel


START_MOST: Final = 60.0
"""Seconds that a service's start() may take; its `wall`, if that is less."""


class Life:
    """One service. run: its process, None while it is down. state: of LIFE in manifests/lives.py.

    waiting: its undelivered calls, in turns of their callers. waiters: the operator's calls to start it, answered when it is
    ready. deaths: the times of those that count against its restart limit. is_final: it was stopped for good, so its next
    process answers no call that was open at this one. is_stale: it stops as soon as no call is open at it. is_watched: a
    check of its processor time is due. shares: each open call's share of that time.
    """

    __slots__ = (
        "deaths", "hand", "idle", "is_final", "is_stale", "is_watched", "restart", "run", "shares", "state", "waiters",
        "waiting",
    )  # fmt: skip

    def __init__(self, hand: Installed) -> None:
        self.hand = hand
        self.state = "stopped"
        self.run: Run | None = None
        self.deaths: tuple[float, ...] = ()
        self.waiting = Turns()
        self.waiters: list[OpenCall] = []
        self.idle: Timer | None = None
        self.restart: Timer | None = None
        self.is_watched = self.is_final = self.is_stale = False
        self.shares = Shares()

    def use_version(self, hand: Installed) -> None:
        """Use the version of the Hand that is installed now. Deaths of another version do not count against it."""
        self.deaths, self.hand = self.deaths if hand.seal == self.hand.seal else (), hand


class Services:
    """All services. lives: by their Hands' ids."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self.lives: dict[str, Life] = {}

    def ensure_life(self, hand: Installed) -> Life:
        """Return a service's life; make one, `stopped`, if it has none."""
        life = self.lives.get(hand.id)
        if life is None:
            life = self.lives[hand.id] = Life(hand)
        life.use_version(hand)
        return life

    def life_of(self, run: Run) -> Life | None:
        """Return the life whose process this run is, if any."""
        life = self.lives.get(run.hand.id)
        return life if life is not None and life.run is run else None

    def deliver(self, call: OpenCall, hand: Installed) -> None:
        """Queue a call for a service, and deliver what it can take."""
        life = self.ensure_life(hand)
        life.waiting.add(call.caller, call.mark_queued())
        self.feed(life)

    def feed(self, life: Life) -> None:
        """Deliver as many waiting calls as a service takes. Start it if it is down; begin its idle time if it has no call."""
        kernel, manifest = self._kernel, life.hand.package.manifest
        if life.idle is not None:  # a restart that is backing off stays due: the call waits for it
            life.idle.cancel()
            life.idle = None
        if life.state in ("stopped", "quarantined") and life.waiting:
            self.start(life)
        run = life.run
        if life.state != "ready" or run is None or run.peer is None or run.is_ending or run.paused:
            return
        if life.is_stale and not run.serving:
            self.stop(life, "the roots have changed")
            return
        if (charged := run.serving.charged) or life.waiting:  # what is used without an open call is charged to no call
            life.shares.take(run.first_cpu(), charged)
        while life.waiting and run.has_room and (number := self._next_call(life, run)) is not None:
            if (call := kernel.exchange.calls.get(number)) is not None and call.is_queued and call.state == "open":
                call.shares = life.shares.sum
                kernel.exchange.deliver(call, run)
        if run.serving and not life.is_watched:
            life.is_watched = True
            kernel.loop.after(1.0, lambda: self._watch_cpu(life))
        elif not (run.serving or life.waiting) and manifest.hand.idle_ms and life.hand.id not in kernel.state.wanted:
            life.idle = kernel.loop.after(manifest.hand.idle_ms / 1000, lambda: self._stop_if_idle(life))

    def _next_call(self, life: Life, run: Run) -> int | None:
        """Remove and return the call whose turn it is, which may have ended. Skips Hands that have their share of places, and
        paused ones.
        """
        calls, paused = self._kernel.exchange.calls, self._kernel.state.paused
        skipped = crowding_hands(run.serving.values(), run.hand.package.manifest.limits.in_flight) | paused
        return life.waiting.take_next(lambda number: number not in calls or calls[number].by.hand not in skipped)

    def _stop_if_idle(self, life: Life) -> None:
        """Stop a service at the end of its idle time, unless a run with a process needs it or the operator wants it."""
        if life.state != "ready" or life.run is None or life.run.serving or life.run.paused:
            return
        live = (run.hand.package.manifest.hand for run in self._kernel.runs.values() if run.state != "waiting")
        if any(life.hand.name in hand.needs for hand in live):
            self.feed(life)
        elif life.hand.id not in self._kernel.state.wanted:  # it may be wanted since its idle time began
            self.stop(life, "idle")

    def _watch_cpu(self, life: Life) -> None:
        """Each second while calls are open, charge processor time to them. A call beyond its `cpu` ends the service."""
        kernel, run, most = self._kernel, life.run, life.hand.package.manifest.limits.cpu_ms / 1000
        life.is_watched = run is not None and bool(run.serving.charged)
        if run is None or not life.is_watched:
            return
        life.shares.look(run.first_cpu(), run.other_cpu, run.serving.charged)
        over = [call for call in run.serving.charged if life.shares.of(call) > most]
        if over:
            kernel.supervisor.end_as_unfit(run, f"a call used more than its {most:g} s of processor time")
        for call in over:
            kernel.exchange.fail(call, "cpu", f"{call.method} used more than its {most:g} s of processor time")
        kernel.loop.after(1.0, lambda: self._watch_cpu(life))

    def start_for_operator(self, hand: Installed, call: OpenCall, *, again: bool) -> object:
        """Start a service that the operator wants up, again if `again`. Returns the answer if it is up already; otherwise
        None, and `call` is answered when it is ready.
        """
        self._kernel.supervisor.check_startable(hand)
        self._kernel.record_state(hand, "wanted")
        life = self.ensure_life(hand)
        if life.state == "ready" and not again and life.run is not None:
            return {"run": life.run.id, "state": "ready"}
        life.waiters.append(call)
        if life.state in ("starting", "ready") and again:
            self.stop(life, "restarted by its operator")
        elif life.state in ("stopped", "backing_off", "quarantined"):
            self.start(life)
        return None

    def start_wanted(self) -> None:
        """Start every wanted service that is stopped."""
        for hand in self._kernel.state.to_be_up():
            if self.ensure_life(hand).state == "stopped":
                self.start(self.ensure_life(hand))

    def start_needs(self, hand: Installed) -> None:
        """Start the services that a Hand needs. Raises Refusal if one is not installed."""
        for name in hand.package.manifest.hand.needs:
            needed = self._kernel.state.hands.get(name)
            if needed is None:
                raise Refusal("needs", f"{hand.name} needs {name}, which is not installed")
            if not needed.is_task and self.ensure_life(needed).state == "stopped":
                self.start(self.ensure_life(needed))

    def start(self, life: Life) -> None:
        """Start a service; give it up if it may not start."""
        kernel = self._kernel
        _cancel_timers(life)
        life.use_version(kernel.state.by_id(life.hand.id) or life.hand)
        try:
            life.run = kernel.supervisor.launch(life.hand, None)
            life.state = step(life.state, "start")
            life.is_final = life.is_stale = False
            patience = min(START_MOST, life.hand.package.manifest.limits.wall_ms / 1000)
            kernel.loop.after(patience, partial(self._check_started, life, life.run, patience))
        except Refusal as refusal:
            kernel.log_refused_start(life.hand, refusal)
            self.abandon(life, refusal)

    def _check_started(self, life: Life, run: Run, patience: float) -> None:
        """End a service whose start() has taken too long."""
        if run.paused and life.run is run:  # paused time does not count: begin again
            self._kernel.loop.after(patience, partial(self._check_started, life, run, patience))
        elif life.run is run and life.state == "starting" and not run.is_ending:
            self._kernel.supervisor.end_as_unfit(run, f"start() or `ready` took more than {patience:g} s")

    def on_ready(self, life: Life, run: Run) -> None:
        """After a service's start() returned: answer the operator's starts, and deliver the waiting calls."""
        if life.state != "starting":
            return
        life.state = step(life.state, "ready")
        self._kernel.record("hand.ready", principal=run.id, run=run.id, detail=run.hand.id_detail)
        waiters, life.waiters = life.waiters, []
        for call in waiters:
            self._kernel.answer(call, {"run": run.id, "state": "ready"})
        self.feed(life)

    def stop(self, life: Life, why: str, *, is_final: bool = False) -> None:
        """Stop a service in any state. is_final: also refuse the calls that wait for it."""
        _cancel_timers(life)
        if life.state == "stopped":
            return
        life.state, life.is_final = step(life.state, "stop"), is_final
        if life.run is None or is_final:
            self._refuse_waiting(life, Refusal("stopped", f"{life.hand.name} was stopped: {why}"))
        if life.run is not None:
            self._kernel.supervisor.stop(life.run, why)

    def abandon(self, life: Life, refusal: Refusal, state: str = "stopped") -> None:
        """Give a service up: refuse all calls that wait for it."""
        life.state, life.run = state, None
        self._refuse_waiting(life, refusal)
        self.forget_removed()

    def forget_removed(self) -> None:
        """Forget the lives of Hands that were removed and do not run."""
        by_id = self._kernel.state.by_id
        self.lives = {hand: life for hand, life in self.lives.items() if life.run is not None or by_id(hand)}

    def _refuse_waiting(self, life: Life, refusal: Refusal) -> None:
        """Refuse the operator's starts and all calls that wait for a service."""
        ends, life.waiters, calls = life.waiters, [], self._kernel.exchange.calls
        queued = (calls[number] for number in life.waiting.take_all() if number in calls)
        for call in [*ends, *(call for call in queued if call.is_queued)]:
            self._kernel.exchange.refuse(call, refusal)

    def on_death(self, life: Life, run: Run, again: list[OpenCall], *, clean: bool, is_lost: bool) -> None:
        """After a service's process ended: restart it now, after a delay, or not at all. again: the calls open at it that
        may be delivered again.
        """
        kernel, now = self._kernel, self._kernel.loop.now()
        for call in again:
            life.waiting.add(call.caller, call.number)
        before, life.run, life.state = life.state, None, step(life.state, "died")
        if before == "stopping":
            is_asked_for = life.hand.id in kernel.state.wanted or life.waiting or life.waiters
            # its Hand may have been removed or replaced meanwhile
            is_service = (hand := kernel.state.by_id(life.hand.id)) is not None and not hand.is_task
            if is_asked_for and is_service and not kernel.is_finishing and not kernel.state.frozen:
                self.start(life)
            else:
                self.abandon(life, ended_refusal("stopped", f"{run.name} was stopped", run.why))
            return
        restart = life.hand.package.manifest.restart
        left = clean and before == "ready" and bool(life.waiting)  # it ended by itself while calls were waiting
        verdict, life.deaths = after_death(restart, life.deaths, now, clean=clean and not left, is_lost=is_lost or left)
        match verdict:
            case "start":
                wait = backoff(len(life.deaths), random.random(), restart)
                kernel.record_state(life.hand, "backing_off", f"{run.why}; starts again in {wait:.1f} s")
                life.restart = kernel.loop.after(wait, lambda: self._restart(life))
            case "give_up":
                times = f"{restart.times} time{'' if restart.times == 1 else 's'}"
                why = f"it died more than {times} within {restart.within_ms / 1000:g} s, last: {run.why}"
                kernel.record_state(life.hand, "quarantined", why)
                self.abandon(life, quarantine_refusal(run.name, why), step(life.state, "give_up"))
            case _:
                self.abandon(life, ended_refusal("ended", f"{run.name} ended", run.why), step(life.state, "done"))

    def _restart(self, life: Life) -> None:
        """Start a service after it has backed off, if it is still wanted."""
        if life.waiting or life.waiters or life.hand.id in self._kernel.state.wanted:
            self.start(life)
        else:
            life.state = step(life.state, "done")


def _cancel_timers(life: Life) -> None:
    """Cancel a service's due restart, and its due stop after idle time."""
    for timer in (life.restart, life.idle):
        if timer is not None:
            timer.cancel()
    life.restart = life.idle = None
