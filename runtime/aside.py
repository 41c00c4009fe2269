"""Work on one hostile document: beside the thread that hears signals, and told when it takes too much (acts).

Python gives a signal to its handler between two steps of the main thread's code. A library in C that works on one hostile
document for minutes lets none be heard: the process is ended by its hard limit of processor time, before it can tell why.
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


def aside(work: Callable[[], _T]) -> _T:
    """What the work returns or raises. What a handler of signals raises meanwhile comes at once; then the work is left alone,
    and ends with the process. Only for work that touches nothing of its caller's, and makes no calls.
    """
    done: Future[_T] = Future()

    def carry_out() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are to wake the thread that waits
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001  it is raised where the result is awaited
            done.set_exception(error)

    threading.Thread(target=carry_out, daemon=True).start()
    return done.result()


class _TooLong(BaseException):
    """The process's time is nearly over; no library catches it."""


def _over(number: int, frame: FrameType | None) -> None:
    raise _TooLong


@contextmanager
def bounded(what: str) -> Iterator[None]:
    """Work that takes more memory or processor time than this process may ends its call in Failed. what: "a page"."""
    signal.signal(signal.SIGXCPU, _over)
    try:
        yield
    except (MemoryError, RecursionError):
        raise Failure("too large", f"It needs more memory than {what} may take.") from None
    except _TooLong:
        raise Failure("too long", f"It takes more processor time than {what} may.") from None
    finally:
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
