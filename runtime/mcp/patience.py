"""Bounds what an MCP server sends that is not an answer (pure): nonsense, notifications, and requests of its own.

Without bounds, a server could keep its Hand busy and fill its memory for as long as it likes, even if nobody calls it.
"""

from contextlib import suppress
from typing import Final

from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from runtime.errors import HandBroken

NONSENSE_MOST: Final = 1_000
"""Most lines or events in a row that are not messages. Many servers print greetings on standard output."""

UNASKED_MOST: Final = 20_000
"""Most messages of the server since its last answer: progress, log records, changes."""

ASKED_MOST: Final = 64
"""Most unanswered requests of the server."""


class Patience:
    """Counts a server's unsolicited messages. Raises HandBroken if they are too many."""

    def __init__(self) -> None:
        self._nonsense = self._unasked = 0
        self._open: list[object] = []

    def hear(self, message: SessionMessage | None) -> None:
        """Counts a message of the server; None for a line or event that is not one."""
        if message is None:
            self._nonsense += 1
            if self._nonsense > NONSENSE_MOST:
                raise HandBroken(f"the last {self._nonsense} lines or events that it sent were not messages")
            return
        self._nonsense = 0
        self._unasked += 1
        match message.message:
            case JSONRPCResponse() | JSONRPCError():
                self._unasked = 0
            case JSONRPCRequest(id=number):
                self._open.append(number)
            case JSONRPCNotification(method="notifications/cancelled", params={"requestId": number}):
                self._close(number)  # no answer is sent to it
            case _:
                pass
        if self._unasked > UNASKED_MOST:
            raise HandBroken(f"it sent {UNASKED_MOST} messages in a row and answered nothing")
        if len(self._open) > ASKED_MOST:
            raise HandBroken(f"it has more than {ASKED_MOST} requests open")

    def say(self, message: SessionMessage) -> None:
        """Counts a message to the server, which may answer one of its requests."""
        if isinstance(message.message, JSONRPCResponse | JSONRPCError):
            self._close(message.message.id)

    def _close(self, number: object) -> None:
        with suppress(ValueError):
            self._open.remove(number)
