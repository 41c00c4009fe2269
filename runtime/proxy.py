"""The proxy on a run's own loopback (acts): turns each connection that a program asks for into a call of `web.connect`.

So the kernel decides about it as about every call, by this Hand's grants and those of the caller it is made for, and `web`
checks the address when connecting. It speaks HTTP's CONNECT, and plain requests for http://; http_proxy and https_proxy in
a program's environment name it. The socket listens before the run loses the right to make one; only this run's processes
are in its network namespace.

For which call a connection is made: a task has one piece of work. A service that answers one call makes it for that one, and
with none in its own name; while it answers several, the program names one, as the user of the proxy's URL.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from runtime import proxy_head
from runtime.calls import Stream, answering
from runtime.errors import CallCancelled, CallEnded, CallFailed, CallRefused
from runtime.kernel_handle import KernelHandle
from runtime.proxy_head import HeadInvalid
from wire import limits
from wire.errors import CodecError

PATIENCE: Final = 30.0
"""Seconds within which the head of a request must arrive."""

_PIECE: Final = 64 * 1024
_READ_OUT, _READ_OUT_MOST = 2.0, 16 * 1024 * 1024
"""Seconds and bytes for which a refused program's further data is read."""

_AT_ONCE: Final = 64
_AGAIN: Final = 0.05  # seconds between two attempts to accept a connection


class Proxy:
    """The proxy. listener: the socket's descriptor. open_calls: numbers of the calls that the run is answering."""

    def __init__(self, kernel: KernelHandle, listener: int, open_calls: Callable[[], tuple[int, ...]]) -> None:
        self._kernel, self._open_calls = kernel, open_calls
        self._listener = socket.socket(fileno=listener)
        self._listener.setblocking(False)
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def serve(self) -> None:
        """Accepts connections until cancelled."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._places.acquire()
                try:
                    link, _ = await loop.sock_accept(self._listener)
                except OSError:  # out of descriptors, or the program has left again
                    self._places.release()
                    await asyncio.sleep(_AGAIN)
                    continue
                reader, writer = await asyncio.open_connection(sock=link, limit=proxy_head.LONGEST)
                task = group.create_task(self._serve(reader, writer))
                task.add_done_callback(lambda _: self._places.release())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            wanted = proxy_head.read(head)
            answering.set(self._parent(wanted.call))
            longest = limits.DEADLINE_MAX / 1000  # the parent's deadline comes earlier
            async with self._kernel.stream("web.connect", wanted.address, upload=True, timeout=longest) as stream:
                await _carry(stream, reader, writer, wanted)
        except HeadInvalid as error:
            await _reply_error(reader, writer, "400 Bad Request", str(error))
        except CallRefused as refused:
            await _reply_error(reader, writer, "403 Forbidden", str(refused))
        except CallFailed as failed:
            await _reply_error(
                reader, writer, "504 Gateway Timeout" if failed.code == "timeout" else "502 Bad Gateway", failed.text
            )
        except (CallCancelled, CodecError) as error:
            await _reply_error(reader, writer, "503 Service Unavailable", str(error))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the program left, or sent nothing that could be answered
        finally:
            writer.close()

    def _parent(self, said: int | None) -> int:
        """The call for which a connection is made, 0 for none. said: the number that the program gave."""
        calls = self._open_calls()
        if said is not None:
            return said
        if len(calls) > 1:
            raise HeadInvalid(
                "several calls are open: name one as the user of the proxy's URL, http://NUMBER@127.0.0.1:3128"
            )
        return calls[0] if calls else 0


async def _carry(
    stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wanted: proxy_head.Wanted
) -> None:
    """Carries bytes both ways until one side ends. Before the connection is made, raises as the stream does."""
    if await stream.read() is None:
        return
    if wanted.is_tunnel:
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        await stream.send(wanted.forward)
    up = asyncio.create_task(_upload(stream, reader))
    try:
        while (piece := await stream.read()) is not None:
            writer.write(piece)
            await writer.drain()
    except CallEnded:
        writer.transport.abort()  # it broke: reset, so that it does not look like a normal end
    finally:
        up.cancel()
        await asyncio.gather(up, return_exceptions=True)


async def _upload(stream: Stream, reader: asyncio.StreamReader) -> None:
    """Sends what the program sends. If its connection breaks, cancels the call: the server may be silent for days."""
    try:
        while piece := await reader.read(_PIECE):
            await stream.send(piece)
        await stream.finish()
    except OSError:
        stream.cancel("the program broke its connection off")


async def _reply_error(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: str, why: str) -> None:
    """Sends an error reply and reads on for a moment: closing with unread data would reset the connection and lose it."""
    body = f"{why}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    left = _READ_OUT_MOST
    try:
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        writer.write_eof()
        async with asyncio.timeout(_READ_OUT):
            while left > 0 and (piece := await reader.read(_PIECE)):
                left -= len(piece)
    except (OSError, TimeoutError):
        pass  # it has left, or sends nothing more
