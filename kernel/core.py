"""The kernel (acts): builds its parts, joins them, and holds what several of them need.

home → log → state; loop ← bus, template; router → policy → exchange → supervisor → launcher. It decides nothing: the rules
are pure code in manifests (policy, state, changes, lives) and wire (calls, rates).
"""

import os
import random
import time
from functools import partial
from typing import Final, Unpack

from msgspec.structs import replace
from zmq.utils import z85

from kernel import descriptors
from kernel.budgets import Budgets
from kernel.bus import Bus
from kernel.digests import code_digests
from kernel.events import Events
from kernel.exchange import Exchange
from kernel.home import Home, Keys
from kernel.launcher import Launcher, Started, start_template
from kernel.links import Links
from kernel.loop import Loop
from kernel.methods import TABLE, acting
from kernel.record import taking_up
from kernel.record.keeping import SOON, Keeping
from kernel.record.log import Log, LogState
from kernel.record.resuming import Resuming
from kernel.record.tapes import Tape
from kernel.record.upgrading import Upgrading
from kernel.router import Router
from kernel.runs import Peer, Run, exit_text
from kernel.supervisor import Supervisor
from kernel.watch import Watch
from manifests.calls import OpenCall
from manifests.catalogue import Catalogue
from manifests.installed import Installed
from manifests.lives import after_template
from manifests.orphaned_calls import ends_after_crash
from manifests.policy import redact
from manifests.schedules import RESCHEDULING
from manifests.settings import only_declared
from manifests.state import State, fold, to_bytes
from wire import codec, headers
from wire.entries import Reported
from wire.errors import CodecError, Refusal
from wire.ids import KERNEL, OPERATOR
from wire.launch import Confined
from wire.rates import Tally
from wire.results import Results

DELIVER_AGAIN: Final = 0.1
"""Seconds before the kernel retries a `kernel.*` call whose caller has no process at the moment."""

HOUSEKEEPING: Final = 60.0
"""Seconds between two trims of the Hands' output files."""

SNAPSHOT_AFTER: Final = 8_192
"""Entries after which the next snapshot is written, so that a start after a crash is quick too."""


class Kernel:
    """One kernel on one home."""

    def __init__(self, home: Home, keys: Keys, log: Log, state: State, loop: Loop, template: Started, at: int) -> None:
        """at: the log's size, in entries, at the snapshot from which `state` was read."""
        self.home, self.log, self.state, self.loop = home, log, state, loop
        self.peers: dict[bytes, Peer] = {}
        self.runs: dict[str, Run] = {}
        self.results = Results()
        self.started = self.time()
        self.is_finishing, self.no_template = False, ""
        self._has_template, self._template_deaths = True, 0
        self._snapshot_at = at
        self.keys: dict[bytes, str] = {z85.decode(keys.operator): OPERATOR}
        self._tally = Tally()
        self._operator_digests = os.urandom(32)
        log.keep_key(f"{OPERATOR} {log.size}", self._operator_digests)
        self.links = Links(self)
        self.budgets = Budgets(self)
        self.exchange = Exchange(self)
        self.events = Events(self)
        self.supervisor = Supervisor(self)
        self.watch = Watch(self)
        self.resuming = Resuming(self)
        self.upgrading = Upgrading(self)
        self.keeping = Keeping(self)
        self.router = Router(self)
        folder = os.open(home.at("run"), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.bus = Bus(folder, public=keys.public, secret=keys.secret, admit=self._admit)
        self.launcher = Launcher(home, loop, self, keys.public, template)
        self.index_methods()

    def boot(self) -> None:
        """Record the start, resume or end what an earlier kernel left open, and start the wanted services."""
        self.record("kernel.start", detail=code_digests())
        going_on, lost = taking_up.rebuild_runs(self)
        for fields in ends_after_crash(self.state, going_on):
            self.record("end", **fields)
        taking_up.restore_reservations(self)
        self.state.open.clear()
        for run in [run for run, task in self.state.unfinished.items() if run not in going_on and not task.has_ended]:
            self.record("run.end", run=run, verdict="died", why=lost.get(run, "run ended: the kernel ended before it"))
        self.launcher.remove_stale_scratch(going_on)
        self.upgrading.boot()
        self.exchange.update_clocks()
        self.supervisor.services.start_wanted()
        self.resuming.start_waiting()
        self.loop.after(HOUSEKEEPING, self._keep_house)
        self.resuming.ask_idle_runs()
        self.loop.after(SOON, self.keeping.erase_old)  # later, so as not to delay the start

    def _keep_house(self) -> None:
        """Trim the Hands' output files, and start runs that wait for room. Repeats itself after HOUSEKEEPING."""
        self.loop.after(HOUSEKEEPING, self._keep_house)
        for hand in self.state.hands.values():
            self.launcher.trim(hand)
        self.resuming.start_waiting()  # the disk may have room by now

    def do_deferred(self) -> None:
        """Do the work that was deferred until no message waits: write log entries, and a snapshot after many of them."""
        self.log.flush()
        if self.log.size - self._snapshot_at > SNAPSHOT_AFTER and self.log.state is LogState.OK:
            self._snapshot_at = self._snapshot()

    def _snapshot(self) -> int:
        """Write a snapshot of the state with all open calls. Returns the number of its entry."""
        calls = self.exchange.calls.values()
        left = {call.number: call.as_open() for call in calls}
        left.update(self.resuming.pending_calls())
        for run in self.runs.values():
            if (work := run.work) and run.tape and (unfinished := self.state.unfinished.get(run.id)):
                unfinished.note(run.tape.last, run.calls, (run.tokens, run.cost), (work.tokens, work.micro_dollars))
        return self.log.snapshot(to_bytes(replace(self.state, open=left)))

    def close(self) -> None:
        """Once the loop has returned: end every open call that does not resume, write a snapshot, and close log and bus."""
        self.launcher.close()
        for run in self.runs.values():
            self.resuming.note_spent(run, is_due=True)
        for call in list(self.exchange.calls.values()):
            if not self.resuming.stays_open(call):
                self.exchange.fail(call, "finishing", "the kernel went down")
        self.log.append("kernel.stop", principal=KERNEL)
        self._snapshot()
        self.log.close()
        self.bus.close()

    def finish_down(self, call: OpenCall) -> None:
        """Answer the operator's `down` once everything has stopped; stop the loop. close() brings to disk what it takes."""
        self.answer(call, {"down": True, "log": self.log.why})
        self.loop.stop()

    def time(self) -> int:
        """The kernel's clock, in microseconds since the epoch."""
        return time.time_ns() // 1000

    def next_call(self) -> int:
        """Return the next call number of the kernel's: even, see wire/headers.py."""
        self.state.calls += 2
        return self.state.calls

    def index_methods(self) -> None:
        """Rebuild the catalogue of methods from the installed Hands."""
        self.catalogue = Catalogue((method.provided for method in TABLE.values()), self.state.hands.values())

    def record(self, kind: str, *, principal: str = KERNEL, **fields: Unpack[Reported]) -> int:
        """Append an entry to the log and apply it to the state. Returns its sequence number."""
        seq = self.log.append(kind, principal=principal, **fields)
        fold(self.state, self.log.last, self.home.load)
        if kind in RESCHEDULING:
            self.events.emit("kernel.schedules", {"hand": str(self.log.last.detail.get("name", ""))})
        return seq

    def record_state(self, hand: Installed, verdict: str, why: str = "") -> None:
        """Record a Hand's change of state. verdict: wanted, unwanted, backing_off, quarantined or released."""
        self.record("hand.state", verdict=verdict, why=redact(why), detail=hand.id_detail)

    def log_refused_start(self, hand: Installed, refusal: Refusal) -> None:
        """Log that a Hand was refused a start, and why."""
        detail = {"code": refusal.code, **hand.id_detail}
        self.log.append("refusal", principal=KERNEL, verdict="refused", why=redact(refusal.why), detail=detail)

    def log_allows(self, method: str, effect: str, *, operators: bool) -> None:
        """Raise Refusal if the log cannot take this call's entries: the kernel does nothing unrecorded.

        operators: it is one of the operator's `kernel.*` calls, for which the log's last reserve is kept.
        """
        # the operator's pass up to `most`; of all others, reads pass up to FULL (1) and calls with an effect only at OK (0)
        most = LogState.OVER if method == "kernel.freeze" else LogState.SPENT
        if (state := self.log.state) and state > (most if operators else LogState(effect == "read")):
            raise Refusal("log", f"the log cannot grow, so nothing is done: {self.log.why}")

    def count_refusal(self, principal: str, code: str, singly: int = 1) -> bool:
        """Count a refusal. Returns True if it is to be logged by itself: the first `singly` of each second are.

        The others share one entry, `flood`. While the log takes nothing, all share one that is written later: otherwise a
        refused peer could fill the memory in which entries wait.
        """
        if not self._tally:
            self.loop.after(1.0, self._log_floods)
        second, singly = (0, 0) if self.log.state >= LogState.SPENT else (int(self.loop.now()), singly)
        return self._tally.count(principal, code, second, singly)

    def log_refusal(self, principal: str, code: str, why: str) -> None:
        """Count a refusal of something other than a call, and log it unless it is part of a flood."""
        if self.count_refusal(principal, code):
            self.log.append("refusal", principal=principal, verdict="refused", why=redact(why), detail={"code": code})

    def _log_floods(self) -> None:
        """Log the refusals of the seconds that are over that were only counted."""
        for principal, code, count in self._tally.drain(int(self.loop.now()) if self.log.state < LogState.SPENT else 0):
            self.log.append("flood", principal=principal, detail={"code": code, "count": count})
        if self._tally:
            self.loop.after(1.0, self._log_floods)

    def _admit(self, key: bytes) -> str | None:
        """Return the principal that a connection's key belongs to; None turns the connection away.

        A run's key admits one connection, which the runtime makes before the Hand's code runs: a second could choose its
        routing id, and libzmq aborts if it later assigns that id to a new peer itself. The operator may open many
        connections, but none while descriptors are short.
        """
        operator = None if descriptors.are_short(16) else OPERATOR
        return operator if self.keys.get(key) == OPERATOR else self.keys.pop(key, None)

    def digest_key(self, principal: str) -> bytes:
        """Return the HMAC key for the log's digests of a principal's bodies."""
        return self.runs[principal].digest_key if principal in self.runs else self._operator_digests

    def tape_of(self, call: OpenCall) -> Tape | None:
        """Return the tape of a call's caller; None if the caller has none, or if the call is a run's own work."""
        run = self.runs.get(call.caller) if call.route else None
        return run.tape if run is not None else None

    def deliver(self, call: OpenCall) -> None:
        """Deliver an allowed and recorded call to its provider; answer it here if its method is the kernel's own."""
        try:
            _, owner = self.catalogue.find(call.method)
        except Refusal as refusal:  # its Hand was removed meanwhile
            self.exchange.refuse(call, refusal)
            return
        if owner is not None:
            self.supervisor.deliver(call, owner)
            return
        run = self.runs.get(call.caller)
        peer = run.peer if run is not None else self.peers.get(call.route)
        if peer is None:
            if run is not None and run.tape is not None:  # the caller's process has ended; it resumes in another
                self.resuming.wake(run.id)
                self.loop.after(DELIVER_AGAIN, partial(self.exchange.deliver_when_durable, -1, call))
            return
        call.step("deliver")
        acting.act(self, call, peer)

    def answer(self, call: OpenCall, value: object) -> None:
        """End a call of a kernel method in Done, with this value as its body."""
        try:
            body = codec.encode_body(value)
        except CodecError as error:
            self.exchange.fail(call, "too large", str(error))
            return
        self.exchange.end(call, headers.Done(number=0), body)

    def begin_run(self, run: Run) -> None:
        """Register a run whose process is being made, and record `run.start`."""
        self.runs[run.id] = run
        optional: dict[str, object] = {"fired": run.fired, "depth": run.work.depth if run.work is not None else 0}
        if run.tape is None or not run.tape.count:
            self.log.keep_key(run.id, run.digest_key)
        if run.tape is not None and run.began is not None:
            asker = run.work.run if run.work is not None else ""
            optional |= {"asked": run.asked, "asker": asker, "spawner": run.parent, "instead": run.instead}
            if not run.tape.count:
                run.tape.put(run.began)
        detail = run.hand.start_detail | {name: value for name, value in optional.items() if value}
        self.record("run.start", run=run.id, call=run.work.number if run.work else 0, detail=detail)

    def expect_connection(self, run: Run, public: bytes) -> None:
        """Admit a run to the bus by this public key (Z85). Of its confinement, only the last layer is still missing."""
        run.state, self._template_deaths = "joining", 0
        self.results.on_begun(run.id)
        run.key = z85.decode(public)
        self.keys[run.key] = run.id

    def record_confinement(self, run: Run, how: Confined) -> None:
        """Record that a run's confinement is complete: from now on its Hand's code may run."""
        run.applied, run.missing = how.applied, how.missing
        detail: dict[str, object] = {"applied": [*how.applied], "missing": [*how.missing], "landlock": how.landlock}
        if run.uid is not None:
            detail["uid"] = run.uid
        self.log.append("run.confined", principal=KERNEL, run=run.id, detail=detail)
        self.watch.begin(run)

    def end_run(self, run: Run, status: int, *, clean: bool) -> None:
        """Forget a run that does not resume, and record how it ended. status: of waitpid, -1 if nobody saw its end."""
        self.forget(run)
        self.launcher.remove_scratch_of(run)
        detail: dict[str, object] = {"exit": exit_text(status), "cpu_us": run.earlier_cpu + run.cpu}
        detail |= {"memory_peak": run.memory, "calls": run.calls, "cost": run.cost}
        if run.hand.artefact is not None:
            detail["used"] = run.used.as_detail()
        self.record("run.end", run=run.id, verdict="ended" if clean else "died", why=redact(run.why), detail=detail)
        self.results.on_reaped(run.id)
        now = self.state.hands.get(run.name)
        if now is None or now.folder != run.hand.folder:
            self.upgrading.remove_unneeded()

    def forget(self, run: Run) -> None:
        """Forget a run's process, which has ended, with its connection and key."""
        del self.runs[run.id]
        if run.peer is not None:
            self.peers.pop(run.peer.route, None)
            self.links.disconnect(run.peer)
        self.keys.pop(run.key, None)

    def on_template_death(self) -> None:
        """After the template's death, which ends every run: start another after a while, unless it died too often."""
        self._has_template, self._template_deaths = False, self._template_deaths + 1
        if self.is_finishing:
            return
        wait, self.no_template = after_template(self._template_deaths, random.random(), self.runs.values())
        then = "none is started any more" if self.no_template else f"another is started in {wait:.1f} s"
        self.log.append("note", principal=KERNEL, why=f"the template died, and with it every run; {then}")
        if not self.no_template:
            self.loop.after(wait, self.start_template)

    def start_template(self) -> None:
        """Start a template if there is none, then the wanted services and the waiting runs."""
        if self._has_template or (self.is_finishing and not self.runs):
            return
        try:
            self.launcher.use_template(start_template(self.home))
        except OSError:  # no room for one more process: as if it had died at once
            self.launcher.on_template_death()
            return
        self._has_template, self.no_template = True, ""
        self.supervisor.services.start_wanted()
        self.resuming.start_waiting()

    def settings_of(self, hand: Installed) -> dict[str, object]:
        """Return a Hand's settings, secrets included: those that its version declares."""
        values = {**self.state.settings.get(hand.id, {}), **self.home.secrets(self.state.secrets_of(hand.id))}
        return only_declared(hand.package.manifest.settings, values)
