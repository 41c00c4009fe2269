"""Watches one call that gets no message for long (acts): whether the kernel has dropped the link, which it does without a
word, and whether the call waits for a disk that does not take the log.

It asks the kernel for its status: any answer shows that the link works. If entries that the log had at one answer are not on
disk at the next, and no others came to the disk either, the call waits for it. That is said, and after a while the call is
given up, if it may be.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

import msgspec
from msgspec import Struct

from kernel.cli.exits import Ended
from wire import codec, headers

FIRST: Final = 5.0
MOST: Final = 3600.0
"""Seconds without a message after which the kernel is asked: at first, and after doubling at most."""

ANSWER_WITHIN: Final = 60.0
"""Seconds within which the kernel must answer. Where memory is short it may stand still, and who gives up loses the call."""

AGAIN: Final = 5.0
"""Seconds until the kernel is asked again if its disk may be behind."""

GIVE_UP_AT: Final = 2
"""At the first such answer the person is told that the call waits for the disk; at this one it is given up."""


class Silence:
    """The silence of one call. number: that of the last question."""

    def __init__(
        self, home: str, ask: Callable[[], int], say: Callable[[str], None], cancel: Callable[[str], None] | None
    ) -> None:
        """ask: asks for the kernel's status; returns the question's number. say: tells the person. cancel: cancels the call;
        None if it may not be given up.
        """
        self._home, self._ask, self._say, self._cancel = home, ask, say, cancel
        self._allowed, self._due, self._is_asking = FIRST, monotonic() + FIRST, False
        self._entries, self._durable = 0, -1  # at the last answer
        self._stuck = 0  # how many answers in a row tell of the disk
        self._why = ""
        self.number = -1

    @property
    def _is_given_up(self) -> bool:
        return self._cancel is not None and self._stuck >= GIVE_UP_AT

    def check(self, heard: bool) -> None:
        """Call this about once a second. Raises Ended if the kernel does not answer, or has done what was given up."""
        now = monotonic()
        if heard:
            self._due, self._is_asking = now + self._allowed, False
        elif now < self._due:
            return
        elif self._is_given_up:
            raise Ended(
                f"the kernel did this, but cannot record it: {self._why}; it holds if the disk of {self._home} takes the "
                "log before the kernel ends, and is undone otherwise: see `maniple status`"
            )
        elif self._is_asking:
            raise Ended(
                f"the kernel of {self._home} has dropped this link: {self._home}/run/kernel.log may say why; if it is of "
                "another version of Maniple, `maniple down`, then `maniple up`"
            )
        else:
            self._allowed, self._due = min(2 * self._allowed, MOST), now + ANSWER_WITHIN
            self.number, self._is_asking = self._ask(), True

    def learn(self, answer: headers.End, body: bytes) -> None:
        """Take the answer to the last question."""
        status = _read(answer, body)
        is_stuck = status.durable < self._entries and status.durable <= self._durable
        self._stuck = self._stuck + 1 if is_stuck else 0
        self._entries, self._durable = status.entries, status.durable
        if is_stuck or status.durable < status.entries - 1:  # the question is an entry, too
            self._due = monotonic() + AGAIN
        if self._stuck == 1:
            self._why = status.log_why or "it does not answer"
            self._say(f"Waiting for the disk of {self._home} to take the log: {self._why}")
        elif self._stuck == GIVE_UP_AT and self._cancel is not None:
            self._cancel(self._why)

    def error(self) -> Ended | None:
        """The error to raise if the call has ended in Cancelled since it was given up."""
        if not self._is_given_up:
            return None
        return Ended(
            f"nothing was done, as it cannot be recorded: {self._why}; see to the disk of {self._home}, then `maniple status`"
        )


class _Status(Struct, frozen=True, kw_only=True):
    """How much of the log is on disk, and why not all, if the kernel knows."""

    entries: int = 0
    durable: int = 0
    log_why: str = ""


def _read(answer: headers.End, body: bytes) -> _Status:
    """Read an answer. A kernel whose log takes nothing more refuses the question."""
    match answer:
        case headers.Done():
            return msgspec.convert(codec.decode_body(body), _Status)
        case headers.Refused(code="log", why=why) | headers.Failed(code="log", text=why):
            return _Status(durable=-1, log_why=why)
        case _:
            return _Status()
