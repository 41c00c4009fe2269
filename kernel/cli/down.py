"""`maniple down` (acts)."""

from typing import Final

from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command
from kernel.cli.progress import waiting

WITHIN: Final = 60.0
"""Seconds from the kernel's answer, when everything is stopped, to the end of its process."""


@command()
def down(session: Session) -> None:
    """Stop everything, in order: runs first, services that others need last, then the kernel.

    Returns when the kernel's process has ended. The next `maniple up` starts the services marked as wanted and
    continues unfinished runs. Paused Hands stay paused, and a frozen kernel stays frozen.
    """
    with session.client() as client:
        with waiting(session, "everything to stop, in order") as tick:
            client.call("kernel.down", seconds=600, tick=tick)
        pid = client.kernel_pid
        if not client.wait_for_exit(WITHIN):
            raise Ended(f"everything is stopped, but the kernel (process {pid}) is still there: `kill {pid}`")
    session.result({"down": True, "pid": pid}, lambda: f"Everything is stopped, the kernel (process {pid}) too.")
