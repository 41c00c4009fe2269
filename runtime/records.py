"""The Hand's log records (acts): one JSON object per line on stderr, which the kernel keeps for `maniple logs`.

structlog makes them, also those of the standard library's logging. Every value passes the redactor on its way out.
structlog is imported when the first record is made, without rich, which it would use for coloured screens: the template
has it loaded, a silent `exec` Hand never needs it.
"""

import io
import logging
import os
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, cast

import msgspec

from runtime.errors import CallEnded
from runtime.redact import Redactor, as_text

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from _typeshed import ReadableBuffer
    from structlog.typing import FilteringBoundLogger

_STDOUT, _STDERR = 1, 2
_RUNTIME: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
ALSO_MOST: Final = 16
"""Secrets that are no settings, the latest of them: to look for many takes its time, and tokens come anew without end."""

_redactor = Redactor()
_settings: tuple[str, ...] = ()
_logger: "FilteringBoundLogger | None" = None


def logger() -> "FilteringBoundLogger":
    """The log: info, warning, error, exception, debug (which is dropped), with fields as keywords."""
    global _logger
    if _logger is None:
        _logger = _new_logger()
    return _logger


def _new_logger() -> "FilteringBoundLogger":
    loaded = sys.modules.get("rich")
    sys.modules["rich"] = loaded  # type: ignore[assignment]  # None: not to be found, see docs/adr/0022
    import structlog

    if loaded is None:
        del sys.modules["rich"]

    if not structlog.is_configured():
        structlog.configure(
            processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, _as_line],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=_Stderr,
            cache_logger_on_first_use=True,
        )
    return cast("FilteringBoundLogger", structlog.get_logger())


def redact(redactor: Redactor) -> None:
    """From now on hide what this redactor hides, the Hand's settings, and still what hide_also() was given."""
    global _redactor, _settings
    also, _settings = _also(), redactor.secrets
    _redactor = Redactor((*_settings, *also)) if also else redactor


def hide_also(secrets: tuple[str, ...]) -> None:
    """From now on hide these, too, and of those of before the latest."""
    global _redactor
    before = (one for one in _also() if one not in secrets)
    now = (*_settings, *(*before, *secrets)[-ALSO_MOST:])
    if now != _redactor.secrets:
        _redactor = Redactor(now)


def _also() -> tuple[str, ...]:
    """What is hidden and is no setting."""
    return _redactor.secrets[len(_settings) :]


def shown(text: str) -> str:
    """The text without secrets, for what leaves the run beside its log."""
    return _redactor.text(text)


def raised(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """What a Hand's code raised, for exc_info: from its own first line on; of a call that was not done, to its own last."""
    frames: list[TracebackType] = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    own = [at for at, one in enumerate(frames) if not one.tb_frame.f_code.co_filename.startswith(_RUNTIME)]
    if not own:
        return type(error), error, error.__traceback__
    end = own[-1] + 1 if isinstance(error, CallEnded) else len(frames)
    for one in reversed(frames[own[0] : end]):
        trace = TracebackType(trace, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return type(error), error, trace


def route_everything() -> None:
    """Make records of what else speaks: the standard library's logging, warnings, and exceptions nobody caught.

    What is printed stays as it is printed, but leaves line by line; where there is no room it is lost, and whoever printed
    it goes on. The second time, after the fork, it does nothing.
    """
    if sys.excepthook is _uncaught:
        return
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError):
            stream.flush()  # what was printed before stands before
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(_Lossy.buffered(number), encoding="utf-8", errors="backslashreplace", line_buffering=True)
        for number in (_STDOUT, _STDERR)
    )
    logging.basicConfig(level=logging.INFO, handlers=[_FromLogging()], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


class _Lossy(io.FileIO):
    """Takes all that it is given, and writes what it can: on a full disk nothing that is printed ends who prints it."""

    @classmethod
    def buffered(cls, descriptor: int) -> io.BufferedWriter:
        """A stream of bytes that goes there; the descriptor stays open after it."""
        return io.BufferedWriter(cls(descriptor, "wb", closefd=False))

    def write(self, raw: "ReadableBuffer", /) -> int:
        try:
            return super().write(raw)
        except OSError:
            return memoryview(raw).nbytes


class _Stderr:
    """What structlog writes to: whole lines, straight to the descriptor, so that no thread cuts another's line."""

    def __init__(self, *_: object) -> None:
        pass

    def msg(self, line: str) -> None:
        rest = memoryview(line.encode("utf-8", "replace") + b"\n")
        try:
            while rest:
                rest = rest[os.write(_STDERR, rest) :]
        except OSError:
            return  # nobody keeps the log any more: the kernel is gone, and this run goes with it

    debug = info = warning = error = critical = exception = msg


class _FromLogging(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a message whose arguments do not fit it, or cannot be shown
            text = as_text(record.msg)
        level = max(logging.INFO, min(record.levelno // 10 * 10, logging.CRITICAL))
        raised = record.exc_info if record.exc_info and record.exc_info[1] is not None else None
        logger().log(level, text, logger=record.name, **({"exc_info": raised} if raised else {}))


def _as_line(_: object, method: str, fields: "MutableMapping[str, object]") -> str:
    record: dict[str, object] = {
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "level": fields.pop("level", method),
        "event": _redactor.text(as_text(fields.pop("event", ""))),
    }
    record.update((_redactor.text(name), _redactor.field(name, value)) for name, value in fields.items())
    return msgspec.json.encode(record).decode()


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logger().error("exception nobody caught", exc_info=(kind, error, trace))


def _uncaught_in_thread(happened: "threading.ExceptHookArgs") -> None:
    if happened.exc_value is not None:
        where = happened.thread.name if happened.thread else ""
        logger().error(
            "exception nobody caught in a thread",
            thread=where,
            exc_info=(happened.exc_type, happened.exc_value, happened.exc_traceback),
        )
