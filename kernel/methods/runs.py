"""Kernel methods that start, list and end runs: start, spawn, wait, stop, restart, pause, resume, decide, ps."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from kernel.errors import Failure
from kernel.methods.request import Request, method
from kernel.process_tree import resident
from kernel.record.taking_up import read_outcome
from kernel.runs import Run
from manifests.calls import outcome_reply
from manifests.holding import check_spawned
from manifests.installed import Installed
from manifests.lives import is_temporary
from manifests.upgrades import DECISIONS, check_restart, is_asked, run_begun_by, successor
from manifests.waiting import AWAITS_DECISION
from wire import codec, headers
from wire.errors import Refusal
from wire.ids import OPERATOR
from wire.results import LOST, Outcome

if TYPE_CHECKING:
    from kernel.core import Kernel

PAGE: Final = 500
"""Runs in one answer of ps: a row may have 2 KB, and all must fit into one body."""


def _start(request: Request) -> object:
    """Start a run of a task Hand, or a service (answers when it is ready). Ends a quarantine; starts a missing template."""
    kernel, hand = request.kernel, request.hand()
    kernel.start_template()
    if hand.is_task and hand.id in kernel.state.quarantined:
        kernel.record_state(hand, "released")
    if hand.is_task:
        return _begin(request, hand)
    if request.arguments.get("inputs") or request.call.most is not None:
        what = f"{hand.name} is a service and takes no inputs and no `most`"
        raise Failure("arguments", f"{what}: see `maniple settings {hand.name}`")
    return kernel.supervisor.services.start_for_operator(hand, request.call, again=False)


def _spawn(request: Request) -> object:
    """Start a run of a task Hand that may do only what both its Hand and its spawner may do."""
    hand = request.hand()
    if not hand.is_task:
        raise Failure("arguments", f"{hand.name} is a service: call its methods instead")
    return _begin(request, hand, is_spawned=True)


def _begin(request: Request, hand: Installed, *, is_spawned: bool = False) -> object:
    inputs = codec.encode_body(request.arguments.get("inputs") or {})
    detached, most = bool(request.arguments.get("detached")), request.arguments.get("timeout")
    seconds = most if isinstance(most, float) else None
    kernel, call = request.kernel, request.call
    if before := run_begun_by(kernel.state, call.number):  # under an earlier kernel, which died before it could answer
        return _answer_when_ended(request, before) if request.arguments.get("wait") else {"run": before}
    if is_spawned:
        check_spawned(kernel.exchange.calls.values(), call.caller, call.by.hand, request.peer.in_flight)
    run = kernel.supervisor.start_task_run(call, hand, inputs, detached=detached, seconds=seconds)
    assert run.work is not None
    call.children[run.work.number] = run.work  # if the call is cancelled before the run has begun, so is the run
    if request.arguments.get("wait"):
        kernel.results.when_begun(run.id, lambda _: call.children.clear())
        return _answer_when_ended(request, run.id)
    return answer_when_begun(request, run, call.children.clear)


def answer_when_begun(request: Request, run: Run, then: Callable[[], None]) -> object:
    """Answer with a run's id, and call `then`, when the run has begun: its files were found as they were sealed."""
    kernel, call = request.kernel, request.call

    def on_begin(outcome: Outcome | None) -> None:
        if outcome is not None and isinstance(outcome.header, headers.Refused):
            kernel.exchange.refuse(call, Refusal(outcome.header.code, outcome.header.why))
            return
        if outcome is None:
            then()
        kernel.answer(call, {"run": run.id})

    kernel.results.when_begun(run.id, on_begin)
    return None


def _wait(request: Request) -> object:
    """Answer with a run's outcome when it has ended. A Hand may wait for the runs that it spawned.

    bound: end the run if the operator's process that waits for it goes away first.
    """
    if request.run is None and request.arguments.get("bound"):
        request.call.alarm = _Bond(request)
    return _answer_when_ended(request, request.text("run"))


class _Bond:
    """An alarm of a bound wait. When the wait ends and its caller is gone, ends the run."""

    def __init__(self, request: Request) -> None:
        self._kernel, self._call, self._run = request.kernel, request.call, request.text("run")

    def cancel(self) -> None:
        if self._call.route not in self._kernel.peers:
            self._kernel.loop.after(0, self._end)

    def _end(self) -> None:
        run = self._kernel.runs.get(self._kernel.results.newest(self._run))
        if run is not None and run.is_task and not self._kernel.is_finishing:
            _end(self._kernel, run, "the process that waited for its answer is gone")


def _answer_when_ended(request: Request, run: str) -> object:
    kernel, call = request.kernel, request.call

    def answer(outcome: Outcome) -> None:
        call.mark(outcome.labels)
        kernel.answer(call, outcome_reply(run, outcome))

    def answer_from_tape(reading: Iterator[Outcome | None], known: Outcome) -> None:
        outcome = next(reading, known)
        if outcome is not None:
            answer(known if outcome is LOST else outcome)
        elif call.number in kernel.exchange.calls:  # all others have their turns before the next piece
            kernel.loop.after(0.0, partial(answer_from_tape, reading, known))

    def on_end(outcome: Outcome) -> None:
        if outcome.body is not None:
            answer(outcome)
        else:  # too large to keep in memory: it can be read from the tape when all is on disk
            reading = read_outcome(kernel, run, call.caller)
            kernel.log.after(kernel.log.size - 1, partial(answer_from_tape, reading, outcome))

    if kernel.results.may_wait(run, call.caller):
        kernel.results.wait(run, on_end, lambda: call.number in kernel.exchange.calls)
        return None
    may_know = call.caller == OPERATOR or successor(kernel.state, run) in kernel.state.unfinished
    reading = read_outcome(kernel, run, call.caller)
    if not (begun := [*islice(reading, 1)] if may_know else []):
        raise Failure("unknown run", f"there is no run {run!r} to wait for: see `maniple runs`")
    answer_from_tape(chain(begun, reading), LOST)
    return None


def _stop(request: Request) -> object:
    """Stop a service, every run of a task Hand, or one run by its id. Answers when their processes have ended."""
    kernel, call = request.kernel, request.call
    why = f"stopped by {request.run.name if request.run else 'its operator'}"
    one = kernel.runs.get(kernel.results.newest(call.resource))
    if one is not None and request.run is not None and one.parent != request.run.id:
        raise Failure("unknown run", f"{one.id} is not a run that you spawned")
    hand = one.hand if one is not None else request.hand()
    is_one = one is not None and one.is_task
    runs = [run for run in kernel.runs.values() if (run is one if is_one else run.hand.id == hand.id)]
    left = {run.id for run in runs}

    def on_reaped(run: str) -> None:
        left.discard(run)
        if not left:
            kernel.answer(call, {"stopped": len(runs)})

    for run in runs:
        kernel.results.when_reaped(run.id, partial(on_reaped, run.id))
    for run in runs:
        _end(kernel, run, why)
    if not is_one:
        kernel.supervisor.stop_hand(hand, why)
    return None if runs else {"stopped": 0}


def _end(kernel: "Kernel", run: Run, why: str) -> None:
    if run.state == "waiting":  # it has no process to stop; cancelling its work ends it
        run.why = why
    else:
        kernel.supervisor.stop(run, why)
    if run.work is not None:
        kernel.exchange.cancel(run.work, why)


def _restart(request: Request) -> object:
    """Stop a service and start it again. Answers when it is ready."""
    hand = request.hand()
    if hand.is_task:
        raise Failure("arguments", f"{hand.name} is a task Hand: `maniple start {hand.name}` begins a new run")
    return request.kernel.supervisor.services.start_for_operator(hand, request.call, again=True)


def _pause(request: Request) -> object:
    """Pause a Hand: stop its processes, suspend its deadlines, and refuse calls from and to it until it is resumed."""
    return _set_paused(request, "pause", wanted=True)


def _resume(request: Request) -> object:
    """Let a paused Hand go on."""
    return _set_paused(request, "resume", wanted=False)


def _set_paused(request: Request, kind: str, *, wanted: bool) -> object:
    kernel, hand = request.kernel, request.hand()
    if (hand.id in kernel.state.paused) is not wanted:
        kernel.record(kind, principal=request.call.caller, detail=hand.id_detail)
        kernel.supervisor.set_paused(hand, paused=wanted)
    return {"name": hand.name, "state": kernel.supervisor.shown_state(hand)}


def _decide(request: Request) -> object:
    """Decide on a run, or on all runs of a Hand, that wait since their code was upgraded: `finish` or `restart`.

    Answers with these runs, and with those that have replaced them by now.
    """
    kernel, call, how = request.kernel, request.call, request.text("how")
    if how not in DECISIONS:
        raise Failure("arguments", f"how is {' or '.join(DECISIONS)}")
    of = kernel.results.newest(call.resource)
    found = [
        run for run in kernel.runs.values() if run.state == "waiting" and (run.id == of or run.name == call.resource)
    ]
    if not (asked := [run for run in found if is_asked(kernel.state, run.id)]):
        now = f", which was begun anew as {of}," if of != call.resource else ""
        raise Failure("unknown run", f"no run {call.resource!r}{now} waits for a decision: see `maniple ps`")
    if how == "restart":
        _check_restart(request, asked[0])
    for run in asked:
        kernel.record("decision", principal=call.caller, run=run.id, call=call.number, verdict=how)
    kernel.exchange.update_clocks()
    kernel.resuming.start_waiting(*(run.id for run in asked))
    return {"decided": how, "runs": [{"run": run.id, "goes_on_as": kernel.results.newest(run.id)} for run in asked]}


def _check_restart(request: Request, run: Run) -> None:
    """Raise Refusal if the Hand's installed version may not start, for a reason that does not pass by itself."""
    kernel = request.kernel
    hand = check_restart(kernel.state.by_id(run.hand.id), run.name)
    try:
        kernel.supervisor.check_startable(hand)
    except Refusal as refusal:
        if not is_temporary(refusal.code):
            raise


def _ps(request: Request) -> object:
    """List unfinished runs, with their state, usage and cost; also those without a process, which only wait, wait for a
    decision, or are to resume. A page of PAGE, the oldest first, and whether there are more; or one run alone (`only`).

    after: `began` of the last page's last row. In a row: memory: bytes resident; overdue: calls that ended before the run
    answered, whose end it has not acknowledged; began: nanoseconds on the kernel's own clock; hears, only for one run alone:
    the events that it, or its next process, is subscribed to.
    """
    only, after = request.text("only"), request.arguments.get("after")
    runs = [run for run in request.kernel.runs.values() if only in ("", run.id)]
    shown = sorted((run for run in runs if not isinstance(after, int) or _began(run) > after), key=_began)
    rows = [_row(request, run) | ({"hears": _subscriptions(run)} if only else {}) for run in shown[:PAGE]]
    return {"runs": rows, "more": len(shown) > PAGE}


def _subscriptions(run: Run) -> list[str]:
    peer = run.peer or (run.tape and (run.tape.peer or run.tape.absent))
    return sorted(peer.topics) if peer else []


def _began(run: Run) -> int:
    return int(run.started * 1_000_000_000)


def _row(request: Request, run: Run) -> dict[str, object]:
    return {
        "run": run.id,
        "hand": run.name,
        "version": run.hand.version,
        "pid": run.pid,
        "state": state_of(request, run),
        "cpu_seconds": round(run.cpu_seconds(), 3),
        "memory": resident(run.pid),
        "calls": run.calls,
        "open": len(run.serving) + (len(run.peer.open_calls) if run.peer else 0),
        "overdue": run.serving.overdue,
        "tokens": run.tokens,
        "micro_dollars": run.cost,
        "used": run.used if run.hand.artefact is not None else None,
        "began": _began(run),
        "seconds": round(request.kernel.loop.now() - run.started, 1),
        "progress": run.progress,
        "confinement": run.applied,
        "lacking": run.missing,
        "uid": run.uid,
    }


def state_of(request: Request, run: Run) -> str:
    """Return the state of a run in the words that people see."""
    kernel, is_asleep = request.kernel, run.state == "waiting" and run.id in request.kernel.resuming.asleep
    if run.state == "waiting" and not is_asleep:
        if is_asked(kernel.state, run.id):
            return AWAITS_DECISION
        if kernel.state.frozen:
            return "frozen"
    shown = "asleep" if is_asleep else kernel.supervisor.shown_state(run.hand, run)
    held = shown in ("asleep", "working") and any(call.caller == run.id for call in kernel.exchange.held_calls())
    return "waiting for approval" if held else shown


METHODS = (
    method("start", "Start a Hand", _start, "name", "write", inputs="dict?", wait="bool?"),
    method("spawn", "Run a task Hand", _spawn, "name", "external", inputs="dict?", wait="bool?", detached="bool?",
           timeout="duration?"),
    method("wait", "Wait for a run to end", _wait, run="string", bound="bool?"),
    method("stop", "Stop a Hand or a run", _stop, "name", "external"),
    method("restart", "Stop a service and start it again", _restart, "name", "write"),
    method("pause", "Block all calls from and to a Hand", _pause, "name", "external"),
    method("resume", "Resume a paused Hand", _resume, "name", "external"),
    method("decide", "Decide about runs of replaced code", _decide, "name", "write", how="string"),
    method("ps", "List live runs, by page, or one run", _ps, after="int?", only="string?"),
)  # fmt: skip
