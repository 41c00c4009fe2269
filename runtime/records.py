"""The Hand's log records (acts): one JSON object per line on stderr, which the kernel keeps for `maniple logs`.

structlog makes them, also those of the standard library's logging. Every value passes the redactor on its way out.
structlog is imported when the first record is made: the template has it loaded, a silent `exec` Hand never needs it.
"""

import logging
import os
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, cast

import msgspec

from runtime.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import FilteringBoundLogger

_STDERR: Final = 2
_redactor = Redactor()


def logger() -> "FilteringBoundLogger":
    """The log: info, warning, error, exception, debug (which is dropped), with fields as keywords."""
    import structlog

    if not structlog.is_configured():
        structlog.configure(
            processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, _as_line],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=_Stderr,
            cache_logger_on_first_use=True,
        )
    return cast("FilteringBoundLogger", structlog.get_logger())


def redact(redactor: Redactor) -> None:
    """From now on hide what this redactor hides."""
    global _redactor
    _redactor = redactor


def shown(text: str) -> str:
    """The text without secrets, for what leaves the run beside its log."""
    return _redactor.text(text)


def route_everything() -> None:
    """Make records of what else speaks: the standard library's logging, warnings, and exceptions nobody caught."""
    logging.basicConfig(level=logging.INFO, handlers=[_FromLogging()], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


class _Stderr:
    """What structlog writes to: whole lines, straight to the descriptor, so that no thread cuts another's line."""

    def __init__(self, *_: object) -> None:
        pass

    def msg(self, line: str) -> None:
        rest = memoryview(line.encode("utf-8", "replace") + b"\n")
        while rest:
            rest = rest[os.write(_STDERR, rest) :]

    debug = info = warning = error = critical = exception = msg


class _FromLogging(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = {"logger": record.name}
            if record.exc_info and record.exc_info[1] is not None:
                logger().log(record.levelno, record.getMessage(), exc_info=record.exc_info, **fields)
            else:
                logger().log(record.levelno, record.getMessage(), **fields)
        except (TypeError, ValueError):  # a message whose arguments do not fit it
            logger().warning(str(record.msg), logger=record.name)


def _as_line(_: object, method: str, fields: "MutableMapping[str, object]") -> str:
    record: dict[str, object] = {
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "level": fields.pop("level", method),
        "event": _redactor.text(str(fields.pop("event", ""))),
    }
    record.update((name, _redactor.field(name, value)) for name, value in fields.items())
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
