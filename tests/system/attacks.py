"""What attacks on a living kernel share: raw peers, Hands that obey a script, a neighbour's latency, and the accounts.

A raw peer holds a key but none of the runtime's manners. A puppet is a sealed and confined run that does the same over
its own link. Whatever they do, `besieged` demands at the end: no call without its one end, no fault of the kernel's.
"""

import os
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import zmq

from kernel.cli.client import Client
from kernel.cli.serving import open_run_folder
from tests.living import ECHO, Kernel, install, make_home
from tests.system.fates import entries, resident, table, until
from tests.system.hostile import ODD, PUPPET
from wire import codec, headers, limits
from wire.codec import NIL, Value
from wire.entries import Entry
from wire.headers import FromKernel, Header

MIB = 1024 * 1024
Frames = Sequence[bytes]
PATIENCE_MS = 20_000

PROMPT = 0.25
"""Seconds that nineteen of twenty of a neighbour's calls may take at most under attack: ten times what they do on two busy

cores, and far less than an attack lasts. A ratio to its calm latency says more of the machine than of the kernel.
"""

GROWTH = 96 * MIB
"""What the kernel may grow by while one peer sends large bodies: those read ahead, those of its open calls, slack."""

FLOODED = 24 * MIB
"""What it may grow by under a flood of messages of 8 KiB or less, however many: those read ahead, and slack."""


class Raw:
    """A raw peer on the bus, under any key. It sends what it is told, and reads only when asked."""

    def __init__(
        self,
        home: Path,
        key: tuple[bytes, bytes] | None,
        *,
        routing_id: bytes = b"",
        path: str = "",
        among: "zmq.Context[zmq.Socket[bytes]] | None" = None,
    ) -> None:
        """key: public, secret in Z85; None: no CURVE. path: another socket than the home's. among: what many share."""
        self._context, self._is_own = among or zmq.Context(), among is None
        self.socket = self._context.socket(zmq.DEALER)
        for option, value in ((zmq.LINGER, 0), (zmq.RECONNECT_IVL, -1), (zmq.SNDHWM, 0), (zmq.RCVHWM, 1)):
            self.socket.setsockopt(option, value)
        if key is not None:
            self.socket.setsockopt(zmq.CURVE_SERVERKEY, (home / "keys" / "kernel.pub").read_bytes().strip())
            self.socket.setsockopt(zmq.CURVE_PUBLICKEY, key[0])
            self.socket.setsockopt(zmq.CURVE_SECRETKEY, key[1])
        if routing_id:
            self.socket.setsockopt(zmq.ROUTING_ID, routing_id)
        self.folder = open_run_folder(str(home))
        self.path = path or f"/proc/self/fd/{self.folder}/bus"

    def connect(self) -> Self:
        self.socket.connect(f"ipc://{self.path}")
        return self

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cut the link, whatever is on its way."""
        if not self.socket.closed:
            self.socket.close(linger=0)
            if self._is_own:
                self._context.term()
            os.close(self.folder)

    def hello(self) -> Self:
        """Say Hello, and have it answered."""
        self.send(headers.Hello(version=limits.PROTOCOL))
        assert isinstance(self.must_take()[0], headers.Hello)
        return self

    def send(self, header: Header, body: bytes = NIL) -> None:
        self.frames(codec.encode(header), body)

    def frames(self, *frames: bytes) -> bool:
        """Send any frames; False when nobody takes them any more."""
        try:
            self.socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def call(self, number: int, method: str, arguments: object = None, **more: object) -> None:
        body = codec.encode_body({} if arguments is None else arguments)
        self.send(headers.Call(number=number, method=method, **more), body)  # type: ignore[arg-type]

    def take(self, milliseconds: int) -> tuple[FromKernel, bytes] | None:
        """The next message, None if none comes."""
        if not self.socket.poll(milliseconds):
            return None
        header, body = self.socket.recv_multipart()
        return codec.decode_from_kernel(header), body

    def must_take(self, milliseconds: int = PATIENCE_MS) -> tuple[FromKernel, bytes]:
        found = self.take(milliseconds)
        assert found is not None, "the kernel sends nothing"
        return found

    def end_of(self, number: int) -> headers.End:
        """The end of one of its calls; what else comes before is passed over."""
        while True:
            header, _ = self.must_take()
            match header:
                case headers.Done() | headers.Failed() | headers.Refused() | headers.Cancelled():
                    if header.number == number:
                        return header


def operators(home: Path) -> tuple[bytes, bytes]:
    """The operator's key pair."""
    secret = (home / "keys" / "operator.key").read_bytes().strip()
    return zmq.curve_public(secret), secret


def word(header: Header) -> bytes:
    """A header's bytes, for scripts."""
    return codec.encode(header)


def small(frame: bytes) -> object:
    """A frame as a script tells it: what only repeats its last byte, in short."""
    return frame if len(frame) < 10_000 else [frame.rstrip(frame[-1:]), frame[-1:], len(frame)]


def ask(method: str, arguments: object) -> list[list[object]]:
    """The steps of one call whose end is taken."""
    return [
        ["send", word(headers.Call(number=10_001, method=method)), codec.encode_body(arguments)],
        ["take", 1],
    ]


def play(client: Client, *steps: Sequence[object], seconds: float = 60, hand: str = "puppet") -> dict[str, Value]:
    """Run a puppet through its script; how it ended. hand: another one of its kind."""
    found = client.call("kernel.start", hand, {"inputs": {"steps": list(steps)}, "wait": True}, seconds=seconds)
    return table(found.value)


def got(outcome: dict[str, Value]) -> list[Value]:
    """What a puppet that came through took."""
    assert outcome["outcome"] == "done", outcome
    found = table(outcome["value"])["got"]
    assert isinstance(found, list)
    return found


def latencies(client: Client, count: int = 60) -> list[float]:
    """Seconds that a neighbour's calls take, in order of size."""
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        client.call("echo.say", "", {"text": "still there?"})
        taken.append(time.perf_counter() - begun)
    return sorted(taken)


def typical(client: Client, count: int = 60) -> float:
    """Seconds that a neighbour's call typically takes."""
    return statistics.median(latencies(client, count))


def open_calls(client: Client) -> int:
    """Calls without an end; the kernel does not count the one that asks."""
    count = table(client.call("kernel.status").value)["open_calls"]
    assert isinstance(count, int)
    return count


def settled(kernel: Kernel) -> None:
    """No call is left without an end, and the kernel answers."""
    with kernel.client() as client:
        until(lambda: open_calls(client) == 0, "every call has its end")


def memory(kernel: Kernel) -> int:
    """The kernel's resident memory in bytes."""
    return resident(kernel.pid)


def floods(home: Path, code: str, principal: str = "") -> tuple[list[Entry], list[Entry]]:
    """The refusals with a reason, of one principal or all, and the entries that count further ones."""
    of_code = [one for one in entries(home, "refusal", "flood") if one.detail.get("code") == code]
    found = [one for one in of_code if principal in ("", one.principal)]
    return [one for one in found if one.kind == "refusal"], [one for one in found if one.kind == "flood"]


def counted(home: Path, code: str, principal: str = "") -> int:
    """How many refusals with a reason the log tells of in all."""
    first, more = floods(home, code, principal)
    return len(first) + sum(int(str(one.detail["count"])) for one in more)


@contextmanager
def besieged(folder: Path, module: str = "kernel.main") -> Iterator[Kernel]:
    """A kernel with a neighbour, a puppet and an odd provider; when all is over, its books must balance."""
    home = make_home(folder / "home")
    with Kernel(home, module) as kernel:
        for hand in (ECHO, ODD, PUPPET):
            install(kernel, hand)
        with kernel.client() as client:
            client.call("kernel.start", "echo")
        yield kernel
        settled(kernel)
        kernel.down()
        balanced(home)
        assert "Traceback" not in kernel.log(), kernel.log()


def balanced(home: Path) -> None:
    """Every call that was recorded has exactly one end."""
    calls = Counter(one.call for one in entries(home, "call"))
    ends = Counter(one.call for one in entries(home, "end"))
    assert set(calls.values()) <= {1}
    assert set(ends.values()) <= {1}
    assert calls == ends, f"calls without an end: {calls - ends}; ends without a call: {ends - calls}"


def call_word(number: int = 10_001, method: str = "echo.say", **more: object) -> bytes:
    return word(headers.Call(number=number, method=method, **more))  # type: ignore[arg-type]


def storm(kernel: Kernel, attack: Callable[[], Value]) -> tuple[Value, float, int]:
    """Attack from a thread of its own: what it gives, the seconds that nineteen of twenty of a neighbour's calls take at

    most, and the kernel's growth in bytes.
    """
    outcome: list[Value] = []
    with kernel.client() as neighbour:
        latencies(neighbour)
        before = memory(kernel)
        thread = threading.Thread(target=lambda: outcome.append(attack()))
        thread.start()
        stormy, most = [], before
        while thread.is_alive():
            stormy += latencies(neighbour, 10)
            most = max(most, memory(kernel))
        thread.join()
        settled(kernel)
    return outcome[0], sorted(stormy)[len(stormy) * 19 // 20], most - before
