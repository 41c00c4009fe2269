"""The imports of the module `maniple` (acts): a guest's access to the bus. docs/wasm.md describes them from here.

Texts and bodies go as address and length in the guest's memory; bodies are msgpack. The host's answers are written where the
guest's own `maniple_alloc(size) → address` finds room.
"""

from typing import Final

from runtime import records
from runtime.errors import CallCancelled, CallFailed, CallRefused
from runtime.kernel_handle import KernelHandle
from runtime.wasm.ends import Ended
from runtime.wasm.guest import PIECE, Guest
from wire import codec, limits
from wire.errors import CodecError

DONE, FAILED, REFUSED, CANCELLED = range(4)
"""The results of `call`."""

LEVELS: Final = ("info", "warning", "error")
LONGEST_LINE: Final = 8 * 1024
LINE: Final = 10_000
"""Most bytes of a guest's log record; fuel for one beside its bytes: about the time that storing it takes."""


LONGEST: Final = limits.DEADLINE_MAX / 1000
"""Seconds that a guest's call may take by itself; the deadline of the call that it answers ends it earlier."""


class Bus:
    """The host functions that need the kernel."""

    def __init__(self, kernel: KernelHandle) -> None:
        self._kernel = kernel

    def call(
        self,
        guest: Guest,
        method: int,
        method_size: int,
        resource: int,
        resource_size: int,
        body: int,
        size: int,
        out: int,
    ) -> int:
        """Makes a call of the run and waits for its end. Returns DONE…; writes its body's address and size to `out`.

        The body of a Done is its value, of the others a table: `code` and `text`, for a Failed also `detail`, for a
        Refused also `grant`.
        """
        guest.check_instance()
        what = (
            _text(guest, method, method_size, limits.METHOD_MAX),
            _text(guest, resource, resource_size, limits.RESOURCE_MAX),
        )
        arguments = _arguments(guest, body, size)
        kind, value = self._end_of(guest, what, arguments)
        try:
            raw = codec.encode_body(value)
        except CodecError as error:  # in its own words it may be larger than it came
            told = {"code": "malformed", "text": f"its end cannot be given to a module: {error}", "detail": {}}
            kind, raw = FAILED, codec.encode_body(told)
        at = guest.place(raw)
        guest.write(out, at.to_bytes(4, "little") + len(raw).to_bytes(4, "little"))
        return kind

    def _end_of(self, guest: Guest, what: tuple[str, str], arguments: dict[str, object]) -> tuple[int, object]:
        try:
            reply = guest.wait(self._kernel.call(*what, arguments, timeout=LONGEST))
        except CallFailed as failed:
            return FAILED, {"code": failed.code, "text": failed.text, "detail": failed.detail}
        except CallRefused as refused:
            return REFUSED, {"code": refused.code, "text": refused.why, "grant": refused.grant}
        except CallCancelled as cancelled:
            return CANCELLED, {"code": "cancelled", "text": cancelled.why}
        except CodecError as error:
            return FAILED, {"code": "arguments", "text": str(error), "detail": {}}
        guest.now = max(guest.now, reply.time)
        return DONE, reply.value

    def sleep(self, guest: Guest, nanoseconds: int) -> bool:
        """Waits at least so long, by the kernel's clock. Returns whether the run may. Waits at most the longest deadline."""
        milliseconds = min(-(-nanoseconds // 1_000_000), limits.DEADLINE_MAX)
        kind, _ = self._end_of(guest, ("kernel.sleep", ""), {"milliseconds": milliseconds})
        return kind == DONE


def log(guest: Guest, level: int, text: int, size: int) -> int:
    """Writes a line to the Hand's log. level: 0 information, 1 warning, 2 error. A line that is too long is cut."""
    kept = min(size, LONGEST_LINE)
    guest.charge(LINE + kept)
    line = guest.read(text, kept).decode("utf-8", "replace")
    name = LEVELS[level] if level < len(LEVELS) else LEVELS[0]
    getattr(records.logger(), name)(line)
    return 0


def now(guest: Guest) -> int:
    """The kernel's time in microseconds since 1970, as of its last reply to the guest."""
    return guest.now


def random(guest: Guest, at: int, size: int) -> int:
    """Fills memory with random bytes from the run's seed."""
    for begin in range(0, size, PIECE):
        piece = min(PIECE, size - begin)
        guest.charge(piece)
        guest.write(at + begin, guest.random.take(piece))
    return 0


def fail(guest: Guest, code: int, code_size: int, text: int, text_size: int) -> int:
    """Ends the call that the guest answers in Failed, with its code and text."""
    kind = _text(guest, code, code_size, limits.LABEL_MAX)
    raise Ended(kind or "failed", _text(guest, text, text_size, limits.WHY_MAX))


def _text(guest: Guest, at: int, size: int, most: int) -> str:
    if size > most:
        raise Ended("trap", f"it gave a text of {size} bytes; {most} are the most")
    guest.charge(size)
    return guest.read(at, size).decode("utf-8", "replace")


def _arguments(guest: Guest, at: int, size: int) -> dict[str, object]:
    if size > limits.BODY_MAX:
        raise Ended("trap", f"it gave arguments of {size} bytes; {limits.BODY_MAX} are the most")
    if size == 0:
        return {}
    guest.charge(size)
    raw = guest.read(at, size)
    try:  # what is large is handed on as it is: a few bytes can stand for many
        value = codec.decode_body(raw) if size <= limits.ARGUMENTS_MAX else codec.decode_table(raw)
    except CodecError as error:
        raise Ended("trap", f"it gave arguments that are not msgpack: {error}") from None
    if not isinstance(value, dict):
        raise Ended("trap", "it gave arguments that are not a table of names and values")
    return dict(value)
