"""Bounds work on a hostile document in memory and processor time, and turns excess into a Failure with the reason (acts).

Python runs signal handlers between two steps of the main thread's code. While a C library works on one document for minutes,
no handler runs, and the process is killed by its hard limit of processor time before it can say why. So such work runs in a
thread of its own (in_thread), and the main thread waits for SIGXCPU as well (bounded).
"""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from runtime.errors import Failure

_T = TypeVar("_T")


def in_thread(work: Callable[[], _T]) -> _T:
    """Runs `work` in a thread; returns or raises what it does.

    What a signal handler raises meanwhile is raised at once: the work is then abandoned, and ends with the process. Only for
    work that shares nothing with its caller and makes no calls.
    """
    done: Future[_T] = Future()

    def carry_out() -> None:
        signal.pthread_sigmask(
            signal.SIG_BLOCK, signal.valid_signals()
        )  # the main thread takes the signals while it waits
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001  raised again by result()
            done.set_exception(error)

    threading.Thread(target=carry_out, daemon=True).start()
    return done.result()


class _TooLong(BaseException):
    """The soft limit of processor time is reached. A BaseException, so that no library catches it."""


def _over(number: int, frame: FrameType | None) -> None:
    raise _TooLong


@contextmanager
def bounded(named: str, what: str) -> Iterator[None]:
    """Turns running out of memory or processor time into a Failure. named: the document; what: such as "a page".

    SystemError is what Python makes of a C library that had no memory and raised nothing.
    """
    signal.signal(signal.SIGXCPU, _over)
    try:
        yield
    except (MemoryError, RecursionError, SystemError):
        raise Failure("too large", f"{named}: it needs more memory than {what} may take.") from None
    except _TooLong:
        raise Failure("too long", f"{named}: it takes more processor time than {what} may.") from None
    finally:
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
