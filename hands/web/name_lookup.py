"""Resolves names to addresses, in daemon threads that are never joined (acts).

Separate, and passed to `dialling`, so that a test can play a lying name server. Uses the system's resolver, so /etc/hosts
and the local name server count. Its calls cannot be cancelled: hence daemon threads, and a bound on them.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Final
from weakref import WeakValueDictionary

from web_failure import SPENT, WebFailed, busy

Lookup = Callable[[str], Awaitable[tuple[str, ...]]]
"""A name → its addresses as text, in the order to try them. Raises WebFailed."""

THREADS: Final = 8
"""Lookups at once; they count towards the Hand's limit `processes`."""

THREADS_OF_ONE: Final = 2
"""Lookups at once of names that share the last two labels: a silent name server holds up only its own names."""


class SystemLookup:
    """A Lookup by getaddrinfo(3). Must be made inside the running loop."""

    def __init__(self, threads: int = THREADS) -> None:
        self._room = asyncio.Semaphore(threads)
        self._rooms = WeakValueDictionary[str, asyncio.Semaphore]()

    async def __call__(self, host: str) -> tuple[str, ...]:
        """The addresses of a name. If cancelled, its thread goes on, and holds its place until it ends. Raises WebFailed."""
        own = self._rooms.setdefault(".".join(host.split(".")[-2:]), asyncio.Semaphore(THREADS_OF_ONE))
        await own.acquire()
        try:
            await self._room.acquire()
        except asyncio.CancelledError:
            own.release()
            raise
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[str, ...]] = loop.create_future()

        def finish(found: tuple[str, ...], failed: WebFailed | None) -> None:
            self._room.release()
            own.release()
            if answer.done():
                return
            if failed:
                answer.set_exception(failed)
            else:
                answer.set_result(found)

        def ask() -> None:
            result = _resolve(host)
            with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits
                loop.call_soon_threadsafe(finish, *result)

        try:
            threading.Thread(target=ask, name="lookup", daemon=True).start()
        except RuntimeError:
            self._room.release()
            own.release()
            raise WebFailed("busy", f"No thread is left to look up {host}. Try again.") from None
        return await answer


def _resolve(host: str) -> tuple[tuple[str, ...], WebFailed | None]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            return (), WebFailed("name not found", f"{host} has no address.")
        return (), WebFailed("name server", f"{host} could not be looked up: {error.strerror}.")
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno in SPENT:
            return (), busy(host, error)
        return (), WebFailed("name not found", f"{host} could not be looked up: {error}.")
    return tuple(str(address[0]) for *_, address in found), None
