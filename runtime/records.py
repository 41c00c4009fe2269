"""The Hand's log records (acts): one JSON object per line on stderr, which the kernel stores for `maniple logs`.

structlog makes them, also those of the standard library's logging. Every value passes the redactor first. structlog is
imported at the first record, without rich, which it would use for coloured screens: the template has it loaded, a silent
`exec` Hand never needs it.
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
from runtime.later import putting_off
from runtime.redact import Redactor, as_text

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from _typeshed import ReadableBuffer
    from structlog.typing import FilteringBoundLogger

_STDOUT, _STDERR = 1, 2
_RUNTIME: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
ALSO_MOST: Final = 16
"""Most secrets that are not settings, the latest: each costs search time, and there is no end of new tokens."""

_redactor = Redactor()
_settings: tuple[str, ...] = ()
_logger: "FilteringBoundLogger | None" = None


def logger() -> "FilteringBoundLogger":
    """The logger: info, warning, error, exception, debug (which is dropped), with fields as keywords."""
    global _logger
    if _logger is None:
        _logger = _new_logger()
    return _logger


def _new_logger() -> "FilteringBoundLogger":
    loaded = sys.modules.get("rich")
    sys.modules["rich"] = loaded  # type: ignore[assignment]  # None: an import of it fails, see docs/adr/0022
    with putting_off({"pickle": {"PicklingError": TypeError}}):
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
    """Hides from now on this redactor's secrets, the Hand's settings, and still those of hide_also()."""
    global _redactor, _settings
    also, _settings = _extra(), redactor.secrets
    _redactor = Redactor((*_settings, *also)) if also else redactor


def hide_also(secrets: tuple[str, ...]) -> None:
    """Hides these secrets, too, from now on, and the latest of earlier ones."""
    global _redactor
    before = (one for one in _extra() if one not in secrets)
    now = (*_settings, *(*before, *secrets)[-ALSO_MOST:])
    if now != _redactor.secrets:
        _redactor = Redactor(now)


def _extra() -> tuple[str, ...]:
    """The hidden secrets that are not settings."""
    return _redactor.secrets[len(_settings) :]


def shown(text: str) -> str:
    """The text without secrets, for texts that leave the run other than by its log."""
    return _redactor.text(text)


def raised(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """An exception of a Hand's code for exc_info: its traceback starts, and for CallEnded ends, in the Hand's own code."""
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
    """Turns other output into records: the standard library's logging, warnings, and uncaught exceptions.

    Printed text stays as it is, but leaves line by line; if there is no room it is lost, and the printing code goes on. The
    second call, after the fork, does nothing.
    """
    if sys.excepthook is _uncaught:
        return
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError):
            stream.flush()  # keeps the order of earlier prints
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(_Lossy.buffered(number), encoding="utf-8", errors="backslashreplace", line_buffering=True)
        for number in (_STDOUT, _STDERR)
    )
    logging.basicConfig(level=logging.INFO, handlers=[_FromLogging()], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


class _Lossy(io.FileIO):
    """Writes what it can and drops the rest: on a full disk, printing must not end the Hand."""

    @classmethod
    def buffered(cls, descriptor: int) -> io.BufferedWriter:
        """A buffered stream to a descriptor, which stays open after it."""
        return io.BufferedWriter(cls(descriptor, "wb", closefd=False))

    def write(self, raw: "ReadableBuffer", /) -> int:
        try:
            return super().write(raw)
        except OSError:
            return memoryview(raw).nbytes


class _Stderr:
    """structlog's output: whole lines, straight to the descriptor, so that no thread cuts another's line."""

    def __init__(self, *_: object) -> None:
        pass

    def msg(self, line: str) -> None:
        rest = memoryview(line.encode("utf-8", "replace") + b"\n")
        try:
            while rest:
                rest = rest[os.write(_STDERR, rest) :]
        except OSError:
            return  # nobody stores the log any more: the kernel is gone, and this run will end

    debug = info = warning = error = critical = exception = msg


class _FromLogging(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit the message, or cannot be shown
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
