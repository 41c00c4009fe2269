"""`maniple down` (acts)."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from kernel.cli import logbook, starting
from kernel.cli.exits import Ended, NoKernel
from kernel.cli.frame import Session, command
from kernel.cli.progress import waiting

UNDERSTOOD_S: Final = 5.0
"""Seconds without an answer after which a kernel of other code is stopped by SIGTERM."""

EXIT_S: Final = 60.0
"""Seconds within which the kernel's process must end after its answer, when everything is stopped."""


@command()
def down(session: Session) -> None:
    """Stop everything, in order: runs first, services that others need last, then the kernel.

    Returns when the kernel's process has ended. The next `maniple up` starts the services marked as wanted and
    continues unfinished runs. Paused Hands stay paused, and a frozen kernel stays frozen.

    A kernel of another version of Maniple that does not understand this command is stopped by SIGTERM, likewise in order.
    """
    with session.client() as client:
        pid = client.kernel_pid
        with waiting(session, "everything to stop, in order") as tick:
            other = _OtherCode(session.home, pid, tick)
            try:
                told = client.call("kernel.down", seconds=600, tick=other.look).value
            except NoKernel:
                if not other.is_told:
                    raise
                told = None
        if not client.wait_for_exit(EXIT_S):
            raise Ended(f"everything is stopped, but the kernel (process {pid}) is still there: `kill {pid}`")
    if isinstance(told, dict) and isinstance(why := told.get("log"), str) and why:
        session.say(f"The log may lack its last entries: {why}")
    session.result({"down": True, "pid": pid}, lambda: f"Everything is stopped, the kernel (process {pid}) too.")


class _OtherCode:
    """Stops a kernel of other code, which may not understand this version's calls, by a signal, which all understand."""

    def __init__(self, home: str, pid: int, tick: Callable[[], None]) -> None:
        self._home, self._pid, self._tick = home, pid, tick
        self._look_at = time.monotonic() + UNDERSTOOD_S
        self.is_told = False

    def look(self) -> None:
        """While the call is not answered: once, tell the kernel by SIGTERM if its code is not this."""
        self._tick()
        if time.monotonic() < self._look_at:
            return
        self._look_at = float("inf")
        with suppress(Ended, ProcessLookupError):  # a damaged log does not tell; or it has ended meanwhile
            if not starting.has_this_code(logbook.folder_of(self._home)):
                os.kill(self._pid, signal.SIGTERM)
                self.is_told = True
