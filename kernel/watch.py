"""Ends runs whose processes together hold more memory than they may, where no control group does it (acts).

Looked at once a second, so it is the weaker way, and a run says so: its `lacking` names the layer "cgroup". What a
process shared with the template when it was made counts for none.
"""

from functools import partial
from typing import TYPE_CHECKING, Final

from kernel.family import family, resident
from kernel.runs import Run
from manifests.lives import too_much_memory

if TYPE_CHECKING:
    from kernel.core import Kernel

EVERY: Final = 1.0
"""Seconds."""


def begin(kernel: "Kernel", run: Run) -> None:
    """Watch a run from now, when no code of its Hand has run, to its end."""
    kernel.loop.after(EVERY, partial(_look, kernel, run, resident(run.pid)))


def _look(kernel: "Kernel", run: Run, shared: int) -> None:
    if run.id not in kernel.runs:
        return
    manifest = run.hand.package.manifest
    if sum(max(0, resident(pid) - shared) for pid in family(run.pid)) > manifest.limits.memory:
        run.unfit = run.unfit or too_much_memory(manifest)
        kernel.supervisor.kill(run, run.unfit)
        return
    kernel.loop.after(EVERY, partial(_look, kernel, run, shared))
