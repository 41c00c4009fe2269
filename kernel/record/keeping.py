"""Expires old tapes of ended runs, and calls that wait for the operator (acts on what manifests/keeping.py decides).

The system's clock may jump, so ages are measured by a clock that is not moved at once. The operator may erase a tape sooner.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from kernel.record.journal import ended_in_done
from manifests.calls import OpenCall
from manifests.keeping import DAY, Kept, SafeClock, expired_tapes, last_seen, run_of, seconds_until
from manifests.policy import redact
from wire.errors import Refusal
from wire.ids import KERNEL

if TYPE_CHECKING:
    from kernel.core import Kernel

EVERY, SOON, AT_ONCE = 3600.0, 1.0, 1_000
"""EVERY: seconds between two searches for old tapes; SOON: until the first. AT_ONCE: steps of one before all others have
their turns: each looks at a tape, reads a few heads of one, or erases one.
"""


class Keeping:
    """The tapes of runs that have ended."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel, self._outcomes, self._note = kernel, dict[str, bool](), kernel.home.at("journal", "looked")
        # when this home was last seen: by the note's times, else the checkpoint's, else the home's
        old = os.stat(next(filter(os.path.exists, (self._note, kernel.home.at("log", "checkpoint"), kernel.home.path))))
        self._clock = SafeClock(last_seen(old.st_mtime, old.st_ctime, kernel.time() / 1_000_000), kernel.loop.now())

    def erase(self, run: str, principal: str, why: str) -> None:
        """Erase a run's tape, key and result, and log that. Raises Refusal if the run has not ended, or has no tape."""
        kernel, path = self._kernel, self._kernel.log.journal.folder / f"{run}.tape"
        if run in kernel.runs:
            raise Refusal("alive", f"{run} has not ended: `maniple cancel {run}` first")
        if not run.startswith("r-") or "/" in run or not path.is_file():
            raise Refusal("unknown run", f"there is no tape of a run {redact(run)!r}: see `maniple runs`")
        self._outcomes.pop(run, None)
        kernel.results.forget(run)
        kernel.log.journal.erase(run)
        kernel.log.append("erase", principal=principal, run=run, why=why)

    def set_expiry(self, call: OpenCall, then: partial[None]) -> None:
        """Call `then` when the time is over in which the operator may answer a call. A clock that has just jumped is not
        believed.
        """
        shows = self._kernel.time() / 1_000_000
        seconds = seconds_until(call.until / 1_000_000, shows, self._clock.now(shows, self._kernel.loop.now()))
        call.alarm = self._kernel.loop.after(seconds, partial(self.set_expiry, call, then) if seconds else then)

    def erase_old(self) -> None:
        """Search for old tapes, and erase them. Repeats itself after EVERY seconds."""
        self._kernel.loop.after(EVERY, self.erase_old)  # first, for a disk that errs
        now = self._clock.now(self._kernel.time() / 1_000_000, self._kernel.loop.now())
        with suppress(OSError), open(os.open(self._note, os.O_CREAT | os.O_NONBLOCK, 0o600), "rb") as note:
            os.utime(note.fileno(), (now, now))  # mtime: the believed time; ctime, by the system: the clock's
        self._go_on(self._search(now))

    def _go_on(self, search: Iterator[None]) -> None:
        """Let a search take AT_ONCE steps, and go on when what it has recorded is on disk."""
        if len([*islice(search, AT_ONCE)]) == AT_ONCE:
            log, loop = self._kernel.log, self._kernel.loop
            log.after(log.size - 1, partial(loop.after, 0.0, partial(self._go_on, search)))

    def _search(self, now: float) -> Iterator[None]:
        """Erase old tapes, step by step. now: the believed time."""
        kernel, keep, found = self._kernel, self._kernel.home.identity.journal, list[Kept]()
        young, folder = min(keep.days, keep.failed_days) * DAY, kernel.log.journal.folder
        # scandir takes a tenth of the time of glob() and a Path for each; a folder that was removed store() makes anew
        for path in os.scandir(folder) if folder.is_dir() else ():
            yield
            run, unfinished = run_of(path.name), kernel.state.unfinished
            if not run or run in kernel.runs or run in unfinished or not path.is_file():
                continue
            with suppress(FileNotFoundError):  # the log's thread has just erased it
                status = path.stat()
                age, is_done = now - status.st_mtime, self._outcomes.get(run)
                if age > young and is_done is None:
                    is_done = self._outcomes[run] = yield from ended_in_done(path.path)
                found.append(Kept(run=run, age=age, size=status.st_size, is_done=is_done is not False))
        for run, why in expired_tapes(found, keep):
            yield
            with suppress(Refusal):  # the operator has erased it meanwhile
                self.erase(run, KERNEL, why)
