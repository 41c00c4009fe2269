"""Work that is done beside the thread that hears signals (acts by a thread).

Python gives a signal to its handler between two steps of the main thread's code. A library in C that works on one hostile
document for minutes lets none be heard: the process is ended by its hard limit of processor time, before it can tell why.
"""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

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
