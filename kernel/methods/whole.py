"""Kernel methods for the kernel as a whole: status, freeze, thaw, erase, down."""

import os
import time
from typing import Final

from kernel.methods.approvals import absent_callers
from kernel.methods.request import Request, method
from kernel.process_tree import resident
from manifests import paying
from manifests.glance import home_summary
from manifests.upgrades import is_asked
from wire.entries import time_text

RECORDED_WITHIN: Final = 1.0
"""Seconds that the answer to `freeze` waits for its entry to be on disk."""


def _status(request: Request) -> object:
    kernel = request.kernel
    return {
        **home_summary(kernel.state),
        "pid": os.getpid(),
        "home": kernel.home.path,
        "started": time_text(kernel.started),
        "runs": sum(run.state != "waiting" for run in kernel.runs.values()),
        "upgraded": sorted(run.id for run in kernel.runs.values() if is_asked(kernel.state, run.id)),
        "template": kernel.no_template,
        "open_calls": len(kernel.exchange.calls) - 1,  # without this one
        "approvals": len(kernel.exchange.held_calls()) + len(absent_callers(kernel)),
        "memory": resident(os.getpid()),
        "cpu_seconds": round(time.process_time(), 3),
        "entries": kernel.log.size,
        "durable": kernel.log.durable,
        "log_state": kernel.log.state.name.lower(),
        "log_why": kernel.log.why,
        **paying.home_report(kernel.budgets.reservations, kernel.state, kernel.time()),
        "origin": kernel.home.identity.origin,
    }


def _freeze(request: Request) -> None:
    """Kill every run's processes now, and refuse all calls but the operator's until `thaw`, also after a restart.

    Its effect is `read` on purpose, so that the emergency stop waits for no disk. Only its answer does, for RECORDED_WITHIN.
    recorded, in the reply: whether the home stays frozen if the kernel is killed now.
    """
    kernel, call = request.kernel, request.call
    if not kernel.state.frozen:
        kernel.record("freeze", principal=call.caller)
    ended, last = kernel.supervisor.kill_all("frozen by the operator"), kernel.log.size - 1
    kernel.exchange.update_clocks()

    def answer() -> None:
        kernel.answer(call, {"frozen": True, "ended": ended, "recorded": kernel.log.durable > last})

    call.alarm = kernel.loop.after(RECORDED_WITHIN, answer)
    kernel.log.after(last, answer)


def _thaw(request: Request) -> object:
    """Undo `freeze`: start the wanted services, and resume the unfinished runs."""
    kernel = request.kernel
    if kernel.state.frozen:
        kernel.record("thaw", principal=request.call.caller)
        kernel.exchange.update_clocks()
        kernel.supervisor.services.start_wanted()
        kernel.resuming.start_waiting()
    return {"frozen": False}


def _erase(request: Request) -> None:
    """Erase a run's tape, with its result, and the key of its digests. All proofs of the log stay valid."""
    kernel, call = request.kernel, request.call
    kernel.keeping.erase(request.text("run"), call.caller, "by the operator")
    kernel.log.after(kernel.log.size - 1, lambda: kernel.answer(call, {"run": request.text("run"), "erased": True}))


def _down(request: Request) -> None:
    """Stop everything in order, answer, and stop the kernel."""
    request.kernel.supervisor.stop_all(lambda: request.kernel.finish_down(request.call))


METHODS = (
    method("status", "Show the kernel at a glance", _status),
    method("freeze", "Emergency stop", _freeze),
    method("thaw", "Undo the emergency stop", _thaw, "none", "write"),
    method("erase", "Erase the tape of a run", _erase, "none", "write", run="string"),
    method("down", "Stop everything, in order", _down),
)
