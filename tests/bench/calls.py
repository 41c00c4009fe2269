"""Measures calls: how long one caller waits, and how many calls a second many callers get answered (acts)."""

import os
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import zmq

from tests.bench.bare import MORE, WORKER, Broker, fork_process, plain_broker, plain_worker
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
"""How long one turn of many callers takes."""

_RATE: Final = struct.Struct("d")

Turn = Callable[[int], object]


class BareCaller:
    """Calls the bare worker, sending and receiving bodies without headers."""

    def __init__(self, broker: Broker) -> None:
        peer = broker.client()
        self._send, self._receive = peer.send, peer.recv

    def send(self) -> None:
        """Send one call."""
        self._send(WORKER, MORE)
        self._send(BODY)

    def receive(self) -> None:
        """Receive one answer."""
        self._receive()
        self._receive()


class OurCaller:
    """Calls echo.say through the kernel, encoding and decoding headers."""

    def __init__(self, home: Path) -> None:
        operator = Operator(home).wait_for_hello()
        operator.call("echo.say", text="are you there?")
        self._operator = operator
        self._send, self._receive = operator.socket.send, operator.socket.recv
        self._number = 1

    def send(self) -> None:
        """Send one call."""
        self._number += 2
        self._send(codec.encode(headers.Call(number=self._number, method="echo.say")), MORE)
        self._send(BODY)

    def receive(self) -> None:
        """Receive one answer. RuntimeError when it is not Done."""
        end = codec.decode_from_kernel(self._receive())
        codec.decode_body(self._receive())
        if type(end) is not headers.Done:
            raise RuntimeError(str(end))


Caller = BareCaller | OurCaller | RecordingCaller


def _time_one_by_one(caller: Caller) -> list[float]:
    """Make BLOCK calls, each after the answer to the one before; microseconds of each."""
    taken = []
    for _ in range(BLOCK):
        begun = time.perf_counter()
        caller.send()
        caller.receive()
        taken.append((time.perf_counter() - begun) * 1e6)
    return taken


def one_caller(folder: Path, rounds: int) -> list[Row]:
    """How long a call of one caller takes, through the kernel and through each bare broker, a block of calls in turn."""
    home = new_home(folder / "home")
    with (
        Broker(folder / "bare") as broker,
        Broker(folder / "plain", plain_broker, plain_worker) as plain,
        Broker(folder / "recording", recording_broker, recording_worker) as recording,
        Kernel(home).wait_until_ready(),
    ):
        _install_echo(home)
        callers: list[Caller] = [OurCaller(home), BareCaller(broker), BareCaller(plain), RecordingCaller(recording)]
        for caller in callers:
            _time_one_by_one(caller)
        taken: list[list[float]] = [[], [], [], []]
        for _ in range(rounds * 2):
            for caller, samples in zip(callers, taken, strict=True):
                samples += _time_one_by_one(caller)
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
    """How many calls a second all callers get answered: in turn through the kernel, a bare broker, and one that records."""
    home = new_home(folder / "home")
    ours: list[float] = []
    bare: list[float] = []
    floor: list[float] = []
    with (
        Broker(folder / "bare") as broker,
        Broker(folder / "recording", recording_broker, recording_worker) as recording,
        Kernel(home).wait_until_ready(),
    ):
        _install_echo(home)
        for _ in range(rounds):
            ours.append(_rate_at_once(lambda: OurCaller(home)))
            bare.append(_rate_at_once(lambda: BareCaller(broker)))
            floor.append(_rate_at_once(lambda: RecordingCaller(recording)))
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


def _install_echo(home: Path) -> None:
    """Install the Hand `echo` and start it."""
    operator = Operator(home).wait_for_hello()
    install_echo(home, operator, trust(home, operator), "echo")
    operator.call("echo.say", text="up")
    operator.close()


def _rate_at_once(make: Callable[[], Caller]) -> float:
    """Let CALLERS processes call for SECONDS at the same time; the sum of their calls per second."""
    ready, told = os.pipe()
    done, counted = os.pipe()
    begin, go = os.pipe()
    pids = [fork_process(lambda: _call_for_a_while(make(), told, begin, counted)) for _ in range(CALLERS)]
    for _ in pids:
        os.read(ready, 1)
    os.write(go, b"g" * CALLERS)
    total = sum(float(_RATE.unpack(os.read(done, _RATE.size))[0]) for _ in pids)
    for pid in pids:
        os.waitpid(pid, 0)
    for descriptor in (ready, told, done, counted, begin, go):
        os.close(descriptor)
    return total


def _call_for_a_while(caller: Caller, told: int, begin: int, counted: int) -> None:
    """In a caller's process: report on `told`, wait for `begin`, keep WINDOW calls open, write the rate to `counted`."""
    os.write(told, b"r")
    os.read(begin, 1)
    calls, begun = 0, time.perf_counter()
    for _ in range(WINDOW):
        caller.send()
    while True:
        caller.receive()
        calls += 1
        now = time.perf_counter()
        if now - begun >= SECONDS:
            break
        caller.send()
    rate = calls / (now - begun)
    for _ in range(WINDOW - 1):
        caller.receive()
    os.write(counted, _RATE.pack(rate))
    zmq.Context.instance().term()
