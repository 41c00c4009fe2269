"""What is scheduled, and its start, for the Hand `scheduling` (acts on what manifests/schedules.py decides)."""

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
    """Every Hand that has a schedule, a page of them by name, or one of them."""
    working = _working(request.kernel)
    return rows(request.kernel.state, working, after=request.text("after"), only=request.text("only"))


def _fire(request: Request) -> object:
    """A scheduled run, once for each key, with the Hand's own inputs and grants; what its overlap replaces ends."""
    kernel, hand, call = request.kernel, request.hand(), request.call
    key, due, event = map(request.text, ("key", "due", "event"))
    body, depth = request.arguments.get("body"), request.arguments.get("depth")
    asked = Fired(key=key, due=due, event=event, body=body, depth=depth if event and isinstance(depth, int) else 0)
    if not 0 < len(asked.key) <= KEY_MOST or not asked.key.isascii():
        raise Refusal("schedule", f"a key has 1 to {KEY_MOST} characters of ASCII")
    working = _working(kernel)
    firing = decide(kernel.state, hand, asked, working)
    if firing.before:
        _replace(kernel, firing)  # a kernel that died just then had not
        return {"run": firing.before, "again": True, "working": firing.before in working}
    if not asked.event:  # nothing that the caller has seen goes into the run
        call.labels = frozenset()
    inputs = codec.encode_body(firing.inputs)
    begun = kernel.supervisor.start_task_run(call, hand, inputs, detached=True, fired=asked.key, depth=asked.depth)
    return answer_when_begun(request, begun, partial(_replace, kernel, firing))


def _replace(kernel: "Kernel", firing: Firing) -> None:
    """End what a firing replaces, now that its own run has begun: one that is refused takes nobody's place."""
    for run in (kernel.runs[name] for name in firing.replaced if name in _working(kernel)):
        run.why = "replaced by its next scheduled run"  # one that is asleep, too, is cancelled and does not fail
        if run.work is not None:
            kernel.exchange.cancel(run.work, run.why)


def _working(kernel: "Kernel") -> set[str]:
    """The runs whose work has not ended."""
    calls = kernel.exchange.calls
    return {run.id for run in kernel.runs.values() if run.work is not None and run.work.number in calls}


METHODS = (
    method("schedules", "List Hands that have a schedule", _schedules, after="string?", only="string?"),
    method(
        "fire", "Begin a scheduled run, once for each key", _fire, "name", "external", key="string", due="string",
        event="string?", body="any?", depth="int?",
    ),
)  # fmt: skip
