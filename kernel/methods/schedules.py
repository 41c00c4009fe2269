"""Schedules of Hands, and the start of scheduled runs, for the Hand `scheduling` (acts on manifests/schedules.py)."""

from functools import partial
from typing import TYPE_CHECKING

from kernel.methods.request import Request, method
from kernel.methods.runs import answer_when_begun
from manifests.schedules import KEY_MOST, Fired, Firing, decide, rows
from wire import codec
from wire.errors import Refusal

if TYPE_CHECKING:
    from kernel.core import Kernel


def _schedules(request: Request) -> object:
    """List the Hands that have a schedule: a page of them by name, or one (`only`)."""
    working = _working(request.kernel)
    return rows(request.kernel.state, working, after=request.text("after"), only=request.text("only"))


def _fire(request: Request) -> object:
    """Start a scheduled run, once for each key, with the Hand's own inputs and grants. End the runs that it replaces."""
    kernel, hand, call = request.kernel, request.hand(), request.call
    key, due, event = map(request.text, ("key", "due", "event"))
    body, depth = request.arguments.get("body"), request.arguments.get("depth")
    asked = Fired(key=key, due=due, event=event, body=body, depth=depth if event and isinstance(depth, int) else 0)
    if not 0 < len(asked.key) <= KEY_MOST or not asked.key.isascii():
        raise Refusal("schedule", f"a key has 1 to {KEY_MOST} characters of ASCII")
    working = _working(kernel)
    firing = decide(kernel.state, hand, asked, working)
    if firing.before:
        _replace(kernel, firing)  # the kernel may have died before it did that
        return {"run": firing.before, "again": True, "working": firing.before in working}
    if not asked.event:  # the run's inputs hold nothing that the caller has seen
        call.labels = frozenset()
    inputs = codec.encode_body(firing.inputs)
    begun = kernel.supervisor.start_task_run(call, hand, inputs, detached=True, fired=asked.key, depth=asked.depth)
    return answer_when_begun(request, begun, partial(_replace, kernel, firing))


def _replace(kernel: "Kernel", firing: Firing) -> None:
    """End the runs that a firing replaces. Called once its own run has begun: a refused one replaces nothing."""
    for run in (kernel.runs[name] for name in firing.replaced if name in _working(kernel)):
        run.why = "replaced by its next scheduled run"
        if run.work is not None:
            kernel.exchange.cancel(run.work, run.why)


def _working(kernel: "Kernel") -> set[str]:
    """Return the ids of the runs whose work has not ended."""
    calls = kernel.exchange.calls
    return {run.id for run in kernel.runs.values() if run.work is not None and run.work.number in calls}


METHODS = (
    method("schedules", "List Hands that have a schedule", _schedules, after="string?", only="string?"),
    method(
        "fire", "Begin a scheduled run, once for each key", _fire, "name", "external", key="string", due="string",
        event="string?", body="any?", depth="int?",
    ),
)  # fmt: skip
