"""The errors that a Hand can get, and the one that it raises.

    wire.errors.ManipleError
    ├── Failure          raised by a Hand: the call it answers ends in Failed, with this code and text
    ├── CallEnded        a call this Hand made did not end in Done; catch it when the difference does not matter
    │   ├── CallFailed       it was allowed, and did not succeed
    │   ├── CallRefused      it was not allowed: nobody saw it
    │   └── CallCancelled    it was cancelled, by somebody else than the task that awaited it
    ├── WrongThread      the bus was used from another thread than the loop's
    ├── LinkLost         the link to the kernel has ended or broke the protocol: the process exits with code 75
    └── HandBroken       the Hand's own files cannot run, or be used: no such class, or a file that cannot be opened

A body that is too large, or cannot travel, raises wire.errors.CodecError where it is sent.
"""

from wire.amounts import Cost
from wire.errors import ManipleError


class Failure(ManipleError):
    """Raise this in a method to end its call in Failed. It is expected and goes to the caller; nothing is logged.

    code: 1 to 64 characters for programs, such as `conflict`. text: one sentence. detail: values for programs, of any name.
    Any other exception ends the call in Failed("raised"), and its traceback goes to the log.
    """

    def __init__(self, code: str, text: str, /, **detail: object) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.detail = detail


class CallEnded(ManipleError):
    """Base of the three errors of a call that did not end in Done."""


class CallFailed(CallEnded):
    """You get this one when a call was allowed but did not succeed, or its stream broke after what arrived.

    code: for programs; the kernel's own are `deadline`, `ended`, `arguments`… detail: what the provider added. cost: what
    the call has cost all the same.
    """

    def __init__(
        self, code: str, text: str, detail: dict[str, object] | None = None, *, cost: Cost | None = None
    ) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.detail = detail or {}
        self.cost = cost


class CallRefused(CallEnded):
    """You get this one when a call was not allowed. grant: the line of HAND.toml that would allow it, or ""."""

    def __init__(self, code: str, why: str, grant: str = "") -> None:
        super().__init__(f"{code}: {why}" + (f"; this grant would allow it: {grant}" if grant else ""))
        self.code = code
        self.why = why
        self.grant = grant


class CallCancelled(CallEnded):
    """You get this one when somebody else cancelled the call; your own cancellation is asyncio.CancelledError.

    cost: as of CallFailed.
    """

    def __init__(self, why: str, *, cost: Cost | None = None) -> None:
        super().__init__(why or "cancelled")
        self.why = why
        self.cost = cost


class WrongThread(ManipleError):
    """You get this one in a thread: bring results back with `await asyncio.to_thread(...)` and call from there."""

    def __init__(self) -> None:
        super().__init__(
            "calls are made in the Hand's own thread only: let the thread return, and call after the await"
        )


class LinkLost(ManipleError):
    """You get this one when nothing can be sent any more. No Hand needs to catch it: its process ends."""


class HandBroken(ManipleError):
    """You get this one when the Hand's files cannot run, or be used, as they are; the text says which file and what to do."""


def first_of(error: BaseException) -> BaseException:
    """The exception that a task group wrapped; the first, if there are several."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
