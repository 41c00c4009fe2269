"""A broker that records each call as the log must have it and decides nothing: the least that a logged call costs (acts).

For each message it looks up the sender and decodes and encodes headers; for each call it adds the two entries, with digests
of both bodies, to a chain in a file that nobody waits for. It knows no grants, limits, deadlines, credit, tapes or dead
peers, and refuses no call. So it costs what Python, zmq and the log's format cost at least in any kernel; only the
time that a call takes beyond this can be saved by changing Maniple (docs/adr/0040-recorded-calls.md).
"""

import os
import time
from itertools import count
from pathlib import Path
from typing import Final

from tests.bench.bare import MORE, WORKER, Broker, dealer, router
from wire import codec, headers
from wire.codec import NIL
from wire.entries import Chain, body_digest, time_text

_KEY: Final = bytes(range(32))
_TOGETHER: Final = 64
"""Entries that are written with one system call."""

_TIMES: Final = 1_000
_METHOD: Final = "echo.say"
BODY: Final = codec.encode_body({"text": "as long as a short call is"})
"""What every caller sends."""


def recording_broker(path: Path, public: bytes, secret: bytes) -> None:
    """Forwards each Call to the worker and each Done to the caller, and records both, until it is killed."""
    server = router(path, public, secret)
    log = os.open(f"{path}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    receive, send = server.recv, server.send
    chain, lines, numbers, callers = Chain(), list[bytes](), count(2, 2), dict[int, tuple[bytes, int]]()
    worker = b""
    while True:
        route = receive()
        frame = receive(0, copy=False)
        whose, body = str(frame.get("Socket-Type")), receive()
        header = codec.decode_from_run(frame.bytes)
        moment = time.time_ns() // 1_000
        if isinstance(header, headers.Call):
            number = next(numbers)
            callers[number] = route, header.number
            lines.append(
                chain.append(
                    kind="call", time=time_text(moment), principal=whose, call=number, method=header.method,
                    resource=header.resource, arguments=body_digest(_KEY, body),
                )
            )  # fmt: skip
            route, told = worker, codec.encode(headers.Call(number=number, method=header.method, time=moment))
        elif isinstance(header, headers.Done):
            route, number = callers.pop(header.number)
            lines.append(
                chain.append(
                    kind="end", time=time_text(moment), principal=whose, call=header.number, verdict="done",
                    reply=body_digest(_KEY, body),
                )
            )  # fmt: skip
            told = codec.encode(headers.Done(number=number, time=moment))
        else:
            worker = route
            continue
        send(route, MORE)
        send(told, MORE)
        send(body)
        if len(lines) >= _TOGETHER:
            os.write(log, b"\n".join(lines))
            lines.clear()


def recording_worker(path: Path, server: bytes) -> None:
    """Answers each Call with its own body, until it is killed."""
    peer = dealer(path, server, WORKER)
    peer.send(codec.encode(headers.Ready()), MORE)
    peer.send(NIL)
    while True:
        header, body = codec.decode_from_kernel(peer.recv()), peer.recv()
        assert isinstance(header, headers.Call)
        peer.send(codec.encode(headers.Done(number=header.number)), MORE)
        peer.send(body)


class RecordingCaller:
    """Calls that worker, encoding and decoding headers. Once constructed, it has had its first answer."""

    def __init__(self, broker: Broker) -> None:
        peer = dealer(broker.path, broker.public)
        self._send, self._receive = peer.send, peer.recv
        self._number = 1
        self.send()
        while not peer.poll(200):  # the worker was not there yet
            self.send()
        self.receive()
        while peer.poll(200):
            self.receive()

    def send(self) -> None:
        """Send one call."""
        self._number += 2
        self._send(codec.encode(headers.Call(number=self._number, method=_METHOD)), MORE)
        self._send(BODY)

    def receive(self) -> None:
        """Receive one answer."""
        codec.decode_from_kernel(self._receive())
        codec.decode_body(self._receive())
