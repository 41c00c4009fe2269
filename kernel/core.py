"""The kernel (acts): its parts put together, and the few things that several of them need.

home → log → state; loop ← bus, template, pipes; router → policy → exchange → supervisor → launcher. Nothing here decides:
what may happen is in policy, calls, lives, rates and state, which are pure.
"""

import hashlib
import hmac
import os
import time
import traceback
from collections.abc import Mapping
from typing import Final

from zmq.utils import z85

from kernel import output
from kernel.audit import Log, LogState
from kernel.bus import Bus
from kernel.calls import OpenCall
from kernel.digests import code_digests
from kernel.errors import Failure
from kernel.events import Events
from kernel.exchange import Exchange
from kernel.home import Home, Keys
from kernel.launcher import Launcher
from kernel.loop import Loop
from kernel.methods import TABLE, Method, Request
from kernel.methods.home import INVALID
from kernel.results import Results
from kernel.router import Router
from kernel.runs import Peer, Run
from kernel.supervisor import Supervisor, ending
from manifests.policy import shown
from manifests.schema import Provided
from manifests.state import Installed, State, fold, to_bytes
from wire import codec, headers, limits
from wire.entries import NO_PREV, Cost, Entry, time_text
from wire.errors import CodecError, Refusal
from wire.ids import KERNEL, OPERATOR
from wire.rates import Tally


HOUSEKEEPING: Final = 60.0
"""Seconds between looks at what grows: Hands' output, the log since its last snapshot."""

SNAPSHOT_AFTER: Final = 20_000
"""Entries after the last snapshot at which another is written, so that a start after a crash is quick too."""


class Kernel:
    """One kernel on one home. folder: descriptor of the home's run folder, where the bus is bound."""

    def __init__(self, home: Home, keys: Keys, log: Log, state: State, loop: Loop, folder: int) -> None:
        self.home, self.log, self.state, self.loop = home, log, state, loop
        self.methods: Mapping[str, Method] = TABLE
        self.peers: dict[bytes, Peer] = {}
        self.runs: dict[str, Run] = {}
        self.results = Results()
        self.started = self.time()
        self.finishing = False
        self._snapshot_at = log.size
        self._keys: dict[bytes, str] = {z85.decode(keys.operator): OPERATOR}
        self._owners: dict[str, Installed] = {}
        self._tally = Tally()
        self._tally_due = False
        self._operator_digests = os.urandom(32)
        log.keep_key(f"{OPERATOR} {time_text(self.started)}", self._operator_digests)
        self.exchange = Exchange(self)
        self.events = Events(self)
        self.supervisor = Supervisor(self)
        self.router = Router(self)
        self.bus = Bus(folder, public=keys.public, secret=keys.secret, admit=self._keys.get)
        self.launcher = Launcher(home, loop, self, keys.public)
        self.index()

    def boot(self) -> None:
        """Record the start and what it found unfinished, and start what is wanted."""
        self.log.append("kernel.start", principal=KERNEL, detail=code_digests())
        for run in list(self.state.unfinished):
            self.record("run.end", run=run, verdict="died", why="run ended: the kernel ended before it")
        self.launcher.sweep()
        for hand in self.state.hands.values():
            if hand.package.manifest.hand.autostart and hand.id not in self.state.quarantined:
                self.state.wanted.add(hand.id)
        self.supervisor.start_wanted()
        self.loop.after(HOUSEKEEPING, self._keep_house)

    def _keep_house(self) -> None:
        for name in {run.name for run in self.runs.values()}:
            output.trim(self.home, name)
        if self.log.size - self._snapshot_at > SNAPSHOT_AFTER:
            self._snapshot_at = self.log.snapshot(to_bytes(self.state))
        self.loop.after(HOUSEKEEPING, self._keep_house)

    # time, numbers, the log -----------------------------------------------------------------------------------------

    def time(self) -> int:
        """The kernel's clock: microseconds since the epoch."""
        return time.time_ns() // 1000

    def next_call(self) -> int:
        """The next even number."""
        self.state.calls += 2
        return self.state.calls

    def record(
        self, kind: str, *, principal: str = KERNEL, run: str = "", verdict: str = "", why: str = "", call: int = 0,
        detail: dict[str, object] | None = None,
    ) -> int:  # fmt: skip
        """Append an entry that may change the state, and let it."""
        detail = detail or {}
        seq = self.log.append(kind, principal=principal, run=run, verdict=verdict, why=why, detail=detail, call=call)
        entry = Entry(
            seq=seq, prev=NO_PREV, time=time_text(self.time()), kind=kind, principal=principal, run=run, verdict=verdict,
            why=why, detail=detail,
        )  # fmt: skip
        fold(self.state, entry, self.home.load)
        return seq

    def record_state(self, hand: Installed, verdict: str, why: str = "") -> None:
        """A Hand's state changed: wanted, unwanted, backing_off, quarantined, mended."""
        self.record("hand.state", verdict=verdict, why=shown(why), detail={"hand": hand.id, "name": hand.name})

    def log_allows(self, *, operators: bool, effect: str) -> None:
        """Raises Refusal when the log cannot take what this call would write: nothing proceeds unrecorded."""
        state = self.log.state
        if state is LogState.OK or operators or (state is LogState.FULL and effect == "read"):
            return
        raise Refusal("log", f"the log cannot grow ({self.log.why}), so nothing with an effect is done: make room on its disk")

    def tally(self, principal: str, code: str, why: str, *, first: bool = False) -> bool:
        """Count a refusal; True for the first of its second, which the caller logs (or, without first, is logged here)."""
        is_first = self._tally.count(principal, code, int(self.loop.now()))
        if is_first and not first:
            self.log.append("refusal", principal=principal or "nobody", verdict="refused", why=shown(why), detail={"code": code})
        if not self._tally_due:
            self._tally_due = True
            self.loop.after(1.0, self._log_floods)
        return is_first

    def _log_floods(self) -> None:
        for principal, code, count in self._tally.due(int(self.loop.now())):
            self.log.append("flood", principal=principal or "nobody", detail={"code": code, "count": count})
        self._tally_due = bool(self._tally)
        if self._tally_due:
            self.loop.after(1.0, self._log_floods)

    def digest_key(self, principal: str) -> bytes:
        """The key of the log's digests of a principal's bodies."""
        run = self.runs.get(principal)
        return run.digest_key if run else self._operator_digests

    def logged_resource(self, call: OpenCall) -> str:
        """A resource as the log shows it: a URL's query only as a digest under the caller's key."""
        path, mark, query = call.resource.partition("?")
        if not mark or "://" not in path:
            return call.resource
        digest = hmac.digest(self.digest_key(call.caller), query.encode(), "sha256").hex()
        return f"{path}?hmac-sha256={digest}"

    # peers ----------------------------------------------------------------------------------------------------------

    def send(self, peer: Peer, header: headers.Header, body: bytes) -> bool:
        """Send to a peer; one that is gone, or does not take what it was promised, is ended."""
        if self.bus.send(peer.route, codec.encode(header), body):
            return True
        self.end_peer(peer, "unreachable", "it does not take what it is sent")
        return False

    def end_peer(self, peer: Peer, code: str, why: str) -> None:
        """End a peer that broke the protocol: retire its key, drop what comes, kill its process. The operator's is dropped."""
        if self.peers.pop(peer.route, None) is None:
            return
        if not (peer.run is None and code == "unreachable"):
            self.tally(peer.principal, code, f"ended: {why}")
        self._dismiss(peer)
        if peer.run is not None:
            peer.run.why = peer.run.why or f"ended by the kernel: {why}"
            self._retire(peer.run)
            self.supervisor.stop(peer.run, why, grace=0)

    def leave(self, peer: Peer, why: str) -> None:
        """A peer leaves of its own will."""
        self.peers.pop(peer.route, None)
        self._dismiss(peer)
        if peer.run is not None:
            peer.run.why = peer.run.why or why
            peer.run.peer = None
            self._retire(peer.run)

    def _dismiss(self, peer: Peer) -> None:
        self.events.forget(peer)
        self.exchange.caller_gone(peer)

    def _retire(self, run: Run) -> None:
        self._keys.pop(run.key, None)

    # methods --------------------------------------------------------------------------------------------------------

    def index(self) -> None:
        """Rebuild the table of methods after an install or a removal."""
        self._owners = {
            method: hand for hand in self.state.hands.values() for method in hand.package.manifest.provides
        }

    def provided(self, method: str) -> tuple[Provided, str]:
        """What a method is, and the id of the Hand that answers it ("" for the kernel). Raises Refusal if none does."""
        own = self.methods.get(method)
        if own is not None:
            return own.provided, ""
        owner = self._owners.get(method)
        if owner is None:
            raise Refusal("no provider", f"nothing provides {shown(method)!r}: see `maniple methods`")
        return owner.package.manifest.provides[method], owner.id

    def owner_of(self, method: str) -> Installed | None:
        """The Hand that answers a method; None for the kernel's own."""
        return self._owners.get(method)

    def owner_name(self, method: str) -> str:
        """The name of the Hand that answers a method, or `kernel`."""
        owner = self._owners.get(method)
        return owner.name if owner else KERNEL

    def all_provided(self) -> list[Provided]:
        """Every method there is."""
        offered = [hand.package.manifest.provides[method] for method, hand in self._owners.items()]
        return sorted([*offered, *(one.provided for one in self.methods.values())], key=lambda one: one.method)

    def deliver(self, call: OpenCall) -> None:
        """Bring an allowed and recorded call to whoever answers it."""
        own = self.methods.get(call.method)
        if own is None:
            owner = self._owners.get(call.method)
            if owner is None:
                self.exchange.fail(call, "ended", f"{call.method} was removed")
                return
            self.supervisor.deliver(call, owner)
            return
        peer = self.peers.get(call.route)
        if peer is None:
            return
        call.step("deliver")
        try:
            arguments = codec.decode_body(call.body)
            answer = own.act(Request(self, call, peer, arguments if isinstance(arguments, dict) else {}))
        except Refusal as refusal:
            self.exchange.refuse(call, refusal)
        except Failure as failure:
            self.exchange.fail(call, failure.code, str(failure))
        except (CodecError, *INVALID) as invalid:
            self.exchange.fail(call, "arguments", str(invalid))
        except Exception:  # noqa: BLE001 - a fault of the kernel's own costs this call its end, never everybody the kernel
            traceback.print_exc()
            self.exchange.fail(call, "fault", f"{call.method} met a fault of the kernel's own: see run/kernel.log")
        else:
            if answer is not None:
                self.answer(call, answer)

    def answer(self, call: OpenCall, value: object) -> None:
        """End one of the kernel's own calls in Done."""
        try:
            body = codec.encode_body(value)
        except CodecError as error:
            self.exchange.fail(call, "too large", str(error))
            return
        self.exchange.end(call, headers.Done(number=0), body)

    # runs (the launcher's owner) ------------------------------------------------------------------------------------

    def begin_run(self, run: Run) -> None:
        """Note a run whose process is being made."""
        self.runs[run.id] = run
        self.log.keep_key(run.id, run.digest_key)
        manifest = run.hand.package.manifest
        self.record(
            "run.start",
            run=run.id,
            call=run.work.number if run.work else 0,
            detail={
                "hand": run.hand.id,
                "name": run.name,
                "version": run.hand.version,
                "kind": manifest.hand.kind,
                "seal": hashlib.sha256(run.hand.package.seal.encode()).hexdigest(),
            },
        )

    def joining(self, run: Run, public: bytes) -> None:
        """A run is confined, and comes to the bus with this key (Z85)."""
        run.state = "joining"
        run.key = z85.decode(public)
        self._keys[run.key] = run.id
        detail: dict[str, object] = {"applied": list(run.applied)}
        if run.uid is not None:
            detail["uid"] = run.uid
        self.log.append("run.confined", principal=KERNEL, run=run.id, detail=detail)

    def gone(self, run: Run, status: int) -> None:
        """A run's process has ended and is reaped."""
        self.supervisor.gone(run, status)

    def end_run(self, run: Run, status: int, *, clean: bool) -> None:
        """Forget a run, and record how it ended."""
        self.runs.pop(run.id, None)
        if run.peer is not None:
            self.peers.pop(run.peer.route, None)
            self._dismiss(run.peer)
        self._retire(run)
        self.record(
            "run.end",
            run=run.id,
            verdict="ended" if clean else "died",
            why=shown(run.why),
            detail={"exit": ending(status), "cpu_us": run.cpu, "memory_peak": run.memory, "calls": run.calls},
        )
        self.results.gone(run.id)

    def template_gone(self) -> None:
        """The template died, and every run with it: start another; what was wanted starts again."""
        self.record("hand.state", verdict="template", why="the template died and is started again")
        if not self.finishing:
            self.launcher.start_template()
            self.supervisor.start_wanted()

    def finish(self, call: OpenCall) -> None:
        """Everything is down: answer the operator, and let the loop end."""
        self.finishing = True
        self.answer(call, {"down": True})
        self.log.after(self.log.size - 1, self.loop.stop)

    def refused_start(self, hand: Installed, refusal: Refusal) -> None:
        """Record that a Hand was not let start."""
        detail: dict[str, object] = {"code": refusal.code, "hand": hand.id, "name": hand.name}
        self.log.append("refusal", principal=KERNEL, verdict="refused", why=shown(refusal.why), detail=detail)

    def run_of(self, principal: str) -> str:
        """The run that a principal is, "" for the operator."""
        return principal if principal in self.runs else ""

    def settings_of(self, hand: Installed) -> dict[str, object]:
        """What was set for a Hand, its secrets among it."""
        declared = hand.package.manifest.settings.values()
        secrets = self.home.secrets(hand.id) if any(one.secret for one in declared) else {}
        return {**self.state.settings.get(hand.id, {}), **secrets}

    def spent(self, call: OpenCall, cost: Cost | None) -> None:
        """Add what a call cost to its caller's run."""
        run = self.runs.get(call.caller)
        if run is not None and cost is not None:
            run.cost += cost.micro_dollars
            run.tokens += cost.tokens

