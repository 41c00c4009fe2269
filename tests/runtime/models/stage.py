"""A server on loopback that plays exact bytes to whoever asks, and keeps what was asked (acts: listens).

For each request it takes the next play, the last one again and again. A play is a list of steps: bytes to send, seconds to
wait, HOLD to stand still until the other side leaves, ABORT to reset the connection. When the steps are over it closes, so a
play without a Content-Length ends with the connection. Requests are read by h11, which refuses what is no HTTP.
"""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import h11

HOLD: Final = "hold"
ABORT: Final = "abort"
Step: TypeAlias = bytes | float | str
Play: TypeAlias = Sequence[Step]


@dataclass
class Asked:
    """One request. left: the other side has closed the connection."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> dict[str, object]:
        """Its body."""
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


@dataclass
class Stage:
    """What is played, what was asked. came: somebody has asked; together: the most that were served at one time."""

    plays: list[Play]
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    playing: set[asyncio.Task[None]] = field(default_factory=set)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    together: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self.playing.add(task)
        self.together = max(self.together, len(self.playing))
        task.add_done_callback(self.playing.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            asked = await _request(reader)
        except BaseException:  # cancelled: nobody asks any more
            writer.close()
            raise
        if asked is None:
            writer.close()
        else:
            self.asked.append(asked)
            self.came.set()
            play = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
            leaving = asyncio.create_task(_left(reader, asked))
            try:
                await _play(play, writer, asked)
            except ConnectionError:
                asked.left.set()
            finally:
                leaving.cancel()
                writer.close()


@asynccontextmanager
async def stage(*plays: Play, tls: ssl.SSLContext | None = None) -> AsyncIterator[Stage]:
    """A Stage that listens."""
    made = Stage(list(plays))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(made.playing):
            task.cancel()
        await asyncio.gather(*made.playing, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    connection = h11.Connection(h11.SERVER)
    head: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            headers = {name.decode(): value.decode() for name, value in head.headers}
            return Asked(head.method.decode(), head.target.decode(), headers, body)
        else:
            return None


async def _play(play: Play, writer: asyncio.StreamWriter, asked: Asked) -> None:
    for step in play:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
            await asyncio.sleep(0)
        elif isinstance(step, float | int):
            await asyncio.sleep(step)
        elif step == HOLD:
            await asked.left.wait()
        else:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


async def _left(reader: asyncio.StreamReader, asked: Asked) -> None:
    try:
        while await reader.read(65_536):
            pass
    except ConnectionError:
        pass
    asked.left.set()


# Bytes ---------------------------------------------------------------------------------------------------------------


def head(status: int = 200, kind: str = "text/event-stream", **headers: str) -> bytes:
    """The head of a response whose body ends with the connection."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def whole(status: int, body: object, kind: str = "application/json", **headers: str) -> bytes:
    """A whole response; body: JSON, or a text as it is."""
    text = body if isinstance(body, str) else json.dumps(body)
    return head(status, kind, Content_Length=str(len(text.encode())), **headers) + text.encode()


def chunked(*bodies: bytes) -> bytes:
    """A chunked body without its end."""
    return b"".join(f"{len(body):x}\r\n".encode() + body + b"\r\n" for body in bodies)


def unnamed(*events: object, end: str = "\n") -> bytes:
    """Events as OpenAI writes them; a str is written as it is."""
    lines = [event if isinstance(event, str) else json.dumps(event, ensure_ascii=False) for event in events]
    return "".join(f"data: {line}{end}{end}" for line in lines).encode()


def named(*events: dict[str, object], end: str = "\n") -> bytes:
    """Events as Anthropic writes them, each with the name that its type is."""
    lines = [f"event: {event['type']}{end}data: {json.dumps(event, ensure_ascii=False)}{end}{end}" for event in events]
    return "".join(lines).encode()
