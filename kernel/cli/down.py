"""`maniple down` (acts)."""

from typing import Final

from kernel.cli.exits import Ended
from kernel.cli.frame import Session, command
from kernel.cli.progress import waiting

EXIT_S: Final = 60.0
"""Seconds within which the kernel's process must end after its answer, when everything is stopped."""


@command()
def down(session: Session) -> None:
    """Stop everything, in order: runs first, services that others need last, then the kernel.

    Returns when the kernel's process has ended. The next `maniple up` starts the services marked as wanted and
    continues unfinished runs. Paused Hands stay paused, and a frozen kernel stays frozen.
    """
    with session.client() as client:
        with waiting(session, "everything to stop, in order") as tick:
            told = client.call("kernel.down", seconds=600, tick=tick).value
        pid = client.kernel_pid
        if not client.wait_for_exit(EXIT_S):
            raise Ended(f"everything is stopped, but the kernel (process {pid}) is still there: `kill {pid}`")
    if isinstance(told, dict) and isinstance(why := told.get("log"), str) and why:
        session.say(f"The log may lack its last entries: {why}")
    session.result({"down": True, "pid": pid}, lambda: f"Everything is stopped, the kernel (process {pid}) too.")
