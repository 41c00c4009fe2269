"""Holds connections that are not authenticated yet (acts): each has a thread; if there are too many, the oldest is closed."""

import contextlib
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable

from kernel.cli.frame import say


class Lobby:
    """The connections that have not been accepted or answered yet."""

    def __init__(self, most: int, answer: Callable[[socket.socket], None]) -> None:
        """answer: called with each connection, in a thread of its own; OSError is ignored, and the connection closed."""
        self._most, self._answer = most, answer
        self._waiting: OrderedDict[socket.socket, threading.Event] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, connection: socket.socket) -> None:
        """Start answering a connection; above the limit, close the oldest one."""
        with self._lock:
            self._waiting[connection] = threading.Event()
            if len(self._waiting) > self._most:
                oldest, evicted = self._waiting.popitem(last=False)
                evicted.set()
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
        try:
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()
        except RuntimeError as error:  # out of threads, for now
            self.leave(connection)
            connection.close()
            say(f"maniple: a connection could not be taken: {error}")

    def wait(self, connection: socket.socket, seconds: float) -> bool:
        """Sleep for `seconds` and return True; return False as soon as the connection is evicted."""
        evicted = self._waiting.get(connection)
        return evicted is not None and not evicted.wait(seconds)

    def leave(self, connection: socket.socket) -> bool:
        """Take a connection out of the lobby, so that it is not evicted any more; False if it was evicted already."""
        with self._lock:
            return self._waiting.pop(connection, None) is not None

    def _run(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            try:
                self._answer(connection)
            finally:
                self.leave(connection)
