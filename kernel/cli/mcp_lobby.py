"""Connections of strangers, which may hold nobody up (acts): each has a thread, and the oldest makes room for the next."""

import contextlib
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable

from kernel.cli.frame import say


class Lobby:
    """The connections of which it is not known yet whether they may stay."""

    def __init__(self, most: int, deal: Callable[[socket.socket], None]) -> None:
        """deal: with one of them, in a thread of its own; it is closed after that. OSError of it is nobody's matter."""
        self._most, self._deal = most, deal
        self._here: OrderedDict[socket.socket, threading.Event] = OrderedDict()
        self._turn = threading.Lock()

    def admit(self, connection: socket.socket) -> None:
        """Deal with a connection; the oldest that is here makes room."""
        with self._turn:
            self._here[connection] = threading.Event()
            if len(self._here) > self._most:
                oldest, goes = self._here.popitem(last=False)
                goes.set()
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
        try:
            threading.Thread(target=self._dealt, args=(connection,), daemon=True).start()
        except RuntimeError as error:  # no thread is free: one will be
            self.leave(connection)
            connection.close()
            say(f"maniple: a connection could not be taken: {error}")

    def waits(self, connection: socket.socket, seconds: float) -> bool:
        """Let so much time pass; False, and at once, for one that has made room."""
        goes = self._here.get(connection)
        return goes is not None and not goes.wait(seconds)

    def leave(self, connection: socket.socket) -> bool:
        """It may stay, and is not closed to make room any more; False for one that was."""
        with self._turn:
            return self._here.pop(connection, None) is not None

    def _dealt(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            try:
                self._deal(connection)
            finally:
                self.leave(connection)
