"""Rows about calls: one caller's time, and many callers' throughput (acts)."""

import os
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import zmq

from tests.bench.bare import MORE, WORKER, Broker, plain_broker, plain_worker, started
from tests.bench.home import Kernel, Operator, install_echo, new_home, trust
from tests.bench.recording import BODY, RecordingCaller, recording_broker, recording_worker
from tests.bench.samples import Row
from wire import codec, headers

BLOCK: Final = 500
"""Calls in one turn of one caller."""
CALLERS: Final = 8
WINDOW: Final = 16
"""Callers, each a process, and how many calls each keeps open."""
SECONDS: Final = 2.0
"""Of one turn of many callers."""

_RATE: Final = struct.Struct("d")

Turn = Callable[[int], object]


class BareCaller:
    """Calls the bare worker: sends and takes bodies as they are."""

    def __init__(self, broker: Broker) -> None:
        peer = broker.client()
        self._send, self._receive = peer.send, peer.recv

    def send(self) -> None:
        """Send one call."""
        self._send(WORKER, MORE)
        self._send(BODY)

    def take(self) -> None:
        """Take one answer."""
        self._receive()
        self._receive()


class OurCaller:
    """Calls echo.say through the kernel: writes headers, and reads them."""

    def __init__(self, home: Path) -> None:
        operator = Operator(home).greeted()
        operator.call("echo.say", text="are you there?")
        self._operator = operator
        self._send, self._receive = operator.socket.send, operator.socket.recv
        self._number = 1

    def send(self) -> None:
        """Send one call."""
        self._number += 2
        self._send(codec.encode(headers.Call(number=self._number, method="echo.say")), MORE)
        self._send(BODY)

    def take(self) -> None:
        """Take one answer. RuntimeError when it is not Done."""
        end = codec.decode_from_kernel(self._receive())
        codec.decode_body(self._receive())
        if type(end) is not headers.Done:
            raise RuntimeError(str(end))


Caller = BareCaller | OurCaller | RecordingCaller


def _one_by_one(caller: Caller) -> list[float]:
    taken = []
    for _ in range(BLOCK):
        begun = time.perf_counter()
        caller.send()
        caller.take()
        taken.append((time.perf_counter() - begun) * 1e6)
    return taken


def one_caller(folder: Path, rounds: int) -> list[Row]:
    """A block of calls through the kernel, a block through the bare broker, and again."""
    home = new_home(folder / "home")
    with (
        Broker(folder / "bare") as broker,
        Broker(folder / "plain", plain_broker, plain_worker) as plain,
        Broker(folder / "recording", recording_broker, recording_worker) as recording,
        Kernel(home).ready(),
    ):
        _echo(home)
        callers: list[Caller] = [OurCaller(home), BareCaller(broker), BareCaller(plain), RecordingCaller(recording)]
        for caller in callers:
            _one_by_one(caller)
        taken: list[list[float]] = [[], [], [], []]
        for _ in range(rounds * 2):
            for caller, samples in zip(callers, taken, strict=True):
                samples += _one_by_one(caller)
    ours, bare, taken_plain, floor = taken
    note = (
        f"a broker written with pyzmq's multipart calls takes {median(taken_plain):.0f} µs (p50) here, one that records "
        f"what every call must leave, and does nothing else, {median(floor):.0f} µs."
    )
    what = "call through the kernel, one caller, beside a bare ROUTER/DEALER CURVE echo broker"
    return [
        Row(
            name="call", what=what, unit="µs", ours=_rounded(ours), bare=_rounded(bare), judged="ratio", limit=2, note=note
        )
    ]  # fmt: skip


def many_callers(folder: Path, rounds: int) -> list[Row]:
    """All callers at once for SECONDS, through the kernel, through the bare broker, through one that records, and again."""
    home = new_home(folder / "home")
    ours: list[float] = []
    bare: list[float] = []
    floor: list[float] = []
    with (
        Broker(folder / "bare") as broker,
        Broker(folder / "recording", recording_broker, recording_worker) as recording,
        Kernel(home).ready(),
    ):
        _echo(home)
        for _ in range(rounds):
            ours.append(_at_once(lambda: OurCaller(home)))
            bare.append(_at_once(lambda: BareCaller(broker)))
            floor.append(_at_once(lambda: RecordingCaller(recording)))
    callers = f"calls per second, {CALLERS} callers with {WINDOW} calls open each"
    what = f"{callers}, beside a broker that only records what every call must leave"
    return [
        Row(
            name="calls", what=f"{callers}, beside that broker", unit="/s", ours=_rounded(ours), bare=_rounded(bare),
            judged="ratio", limit=0.5, at_least=True,
        ),
        Row(
            name="calls-recorded", what=what, unit="/s", ours=_rounded(ours), bare=_rounded(floor), judged="ratio", limit=0.5,
            at_least=True,
        ),
    ]  # fmt: skip


def _rounded(samples: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(one, 1) for one in samples)


def _echo(home: Path) -> None:
    operator = Operator(home).greeted()
    install_echo(home, operator, trust(home, operator), "echo")
    operator.call("echo.say", text="up")
    operator.close()


def _at_once(make: Callable[[], Caller]) -> float:
    """Calls per second of all callers together."""
    ready, told = os.pipe()
    done, counted = os.pipe()
    begin, go = os.pipe()
    pids = [started(lambda: _load(make(), told, begin, counted)) for _ in range(CALLERS)]
    for _ in pids:
        os.read(ready, 1)
    os.write(go, b"g" * CALLERS)
    total = sum(float(_RATE.unpack(os.read(done, _RATE.size))[0]) for _ in pids)
    for pid in pids:
        os.waitpid(pid, 0)
    for descriptor in (ready, told, done, counted, begin, go):
        os.close(descriptor)
    return total


def _load(caller: Caller, told: int, begin: int, counted: int) -> None:
    os.write(told, b"r")
    os.read(begin, 1)
    calls, begun = 0, time.perf_counter()
    for _ in range(WINDOW):
        caller.send()
    while True:
        caller.take()
        calls += 1
        now = time.perf_counter()
        if now - begun >= SECONDS:
            break
        caller.send()
    rate = calls / (now - begun)
    for _ in range(WINDOW - 1):
        caller.take()
    os.write(counted, _RATE.pack(rate))
    zmq.Context.instance().term()
