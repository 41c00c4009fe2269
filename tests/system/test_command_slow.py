"""One who takes nothing of what a program tells him, or uploads to him, does not keep it from everybody else.

The program here answers each call in a thread of its own, so that nothing but the one line between it and its bridge, which
all of its calls share, makes one of them wait for another.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.living import Kernel, Source, install, make_home
from tests.system.programs import PYTHON, a_hand, output_of, value_of, wait_for

pytestmark = pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")

PIECE: Final = 60_000
MANY: Final = 500
"""Pieces: 40 MB of lines, far more than lies between a program and its bridge, and is held for a caller."""

TALKER: Final = f"""
#!{PYTHON}
import base64, json, socket, sys, threading
link = socket.socket(fileno=3)
heard, turn, ends = link.makefile("r", encoding="utf-8"), threading.Lock(), {{}}
def tell(**message):
    with turn:
        link.sendall(json.dumps(message).encode() + b"\\n")
def many(id, number=0):
    piece = base64.b64encode(b"x" * {PIECE}).decode()
    for _ in range(int(number or {MANY})):
        tell(type="chunk", id=id, piece=piece)
    print(id, "is told all", flush=True)
    return "told"
def pass_on(id, number):
    ends[id] = threading.Event()
    tell(type="call", id=id, parent=id, method="sink.take", upload=True)
    for n in range({MANY}):
        tell(type="upload", id=id, piece=base64.b64encode(b"x" * {PIECE}).decode())
    tell(type="upload", id=id, last=True)
    ends[id].wait()
    return ends[id].said
def answer(id, text):
    word, _, number = text.partition(" ")
    value = {{"": lambda *_: "here", "many": many, "pass": pass_on}}[word](id, number)
    tell(type="done", id=id, value=value)
print("begins", flush=True)
tell(type="ready")
for line in heard:
    message = json.loads(line)
    match message["type"]:
        case "stop":
            sys.exit(0)
        case "cancel":
            print("cancelled:", message["why"], flush=True)
        case "call":
            threading.Thread(target=answer, args=(message["id"], message["arguments"].get("text", "")), daemon=True).start()
        case "done" | "failed":
            ends[message["id"]].said = [message.get("code", "done"), message.get("text", "")]
            ends[message["id"]].set()
            print("passing", message["type"], flush=True)
"""

SINK: Final = Source(
    """
[hand]
name = "sink"
version = "1.0.0"
description = "Takes what comes at its own pace."
entry = "main:Sink"
kind = "service"
autonomy = "full"

[capabilities]
"talker.do" = ["*"]

[provides."sink.take"]
summary = "Take an upload"
resource = "none"
effect = "read"

[provides."sink.fetch"]
summary = "Take a reply"
resource = "none"
effect = "read"
params = { pause = "float", text = "string", blocks = "bool" }

[provides."sink.open"]
summary = "Take uploads from now on"
resource = "none"
effect = "read"
""",
    """
import asyncio
import time

from runtime import Call, CallEnded, Hand


class Sink(Hand):
    async def start(self) -> None:
        self.opened = asyncio.Event()

    async def open(self, call: Call) -> None:
        self.opened.set()

    async def take(self, call: Call) -> int:
        await self.opened.wait()
        return sum([len(piece) async for piece in call.upload])

    async def fetch(self, call: Call, pause: float, text: str, blocks: bool) -> object:
        came = 0
        try:
            async with self.kernel.stream("talker.do", "", {"text": text}) as stream:
                async for piece in stream:
                    came += 1
                    if blocks and came < 7:
                        time.sleep(pause)
                    await asyncio.sleep(pause if came < 7 and not blocks else 0)
        except CallEnded as error:
            return str(error)
        return came
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, SINK)
        install(kernel, a_hand("talker", TALKER, more='\n[capabilities]\n"sink.take" = ["*"]\n'))
        yield kernel


class Stuck:
    """A caller in a thread, who takes the first piece and no other until he is to."""

    def __init__(self, kernel: Kernel, text: str) -> None:
        self.came, self.end = 0, ""
        self.begun, self.read_on = threading.Event(), threading.Event()
        self._kernel, self._text = kernel, text
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def _take(self) -> None:
        with self._kernel.client() as client:
            try:
                told = client.call("talker.do", "", {"text": self._text}, chunk=self._hear, seconds=100)
                self.end = str(told.value)
            except NotDone as error:
                self.end = str(error)

    def _hear(self, piece: bytes) -> None:
        self.came += len(piece)
        self.begun.set()
        self.read_on.wait(60)

    def leave(self) -> str:
        """Read on; how its call ended."""
        self.read_on.set()
        self._thread.join(60)
        return self.end


@contextmanager
def stuck(kernel: Kernel, *texts: str) -> Iterator[list[Stuck]]:
    callers: list[Stuck] = []
    try:
        callers += [Stuck(kernel, text) for text in texts]
        assert all(one.begun.wait(20) for one in callers)
        yield callers
    finally:
        for one in callers:
            one.leave()


def _answered(client: Client, within: float) -> float:
    """How long the program took to answer another call."""
    begun = time.monotonic()
    assert client.call("talker.do", seconds=within).value == "here"
    return time.monotonic() - begun


def _lost(kernel: Kernel) -> int:
    """Of how many calls the program was told that their callers took nothing."""
    return output_of(kernel, "talker").count("cancelled: its caller took nothing")


def _pid(client: Client) -> int:
    (run,) = [one for one in value_of(client, "kernel.ps")["runs"] if one["hand"] == "talker"]
    return int(run["pid"])


def test_who_takes_nothing_loses_his_call_when_another_waits_and_all_others_go_on(
    kernel: Kernel, client: Client
) -> None:
    _answered(client, 20)
    before = _pid(client)
    with stuck(kernel, "many") as (one,):
        wait_for(lambda: _answered(client, 20) and _lost(kernel) == 1)
        assert _answered(client, 20) < 4  # nobody holds it up any more
        assert "took nothing of its reply for 5 seconds" in one.leave()
        assert one.end.endswith("take all of it, then work on it (room)")
    assert _pid(client) == before


@pytest.mark.wide
def test_whoever_is_alone_may_be_as_slow_as_he_likes(kernel: Kernel, client: Client) -> None:
    with stuck(kernel, "many") as (one,):
        time.sleep(7)  # that is the time which another would be waited for
        assert "told all" not in output_of(kernel, "talker")  # held back all the while
        assert one.leave() == "told"
        assert one.came == MANY * PIECE


def test_a_slow_caller_keeps_nobody_waiting_whose_reply_there_is_room_for(kernel: Kernel, client: Client) -> None:
    with stuck(kernel, "many 20") as (one,):
        wait_for(lambda: "told all" in output_of(kernel, "talker"), 10)
        assert _answered(client, 20) < 4
        time.sleep(6)
        assert _answered(client, 20) < 4
        assert one.leave() == "told"
        assert one.came == 20 * PIECE


@pytest.mark.wide
def test_several_who_take_nothing_are_waited_for_once(kernel: Kernel, client: Client) -> None:
    with stuck(kernel, *["many"] * 4) as those:
        begun = time.monotonic()
        wait_for(lambda: _answered(client, 40) and _lost(kernel) == 4)
        assert time.monotonic() - begun < 16  # four times 5 s, one after the other
        assert _answered(client, 40) < 4
        assert all("(room)" in one.leave() for one in those)


@pytest.mark.wide
@pytest.mark.parametrize("blocks", [False, True], ids=["others-of-his-go-on", "all-of-him-works"])
def test_who_takes_something_now_and_then_keeps_his_call(kernel: Kernel, client: Client, *, blocks: bool) -> None:
    told: list[object] = []

    def fetch() -> None:
        with kernel.client() as other:
            told.append(value_of(other, "sink.fetch", pause=1.6, text="many 24", blocks=blocks))

    fetching = threading.Thread(target=fetch)
    fetching.start()
    while fetching.is_alive():
        _answered(client, 20)
        time.sleep(0.1)
    assert told == [24]


def test_an_upload_of_the_programs_of_which_nothing_is_taken_fails_when_others_wait(
    kernel: Kernel, client: Client
) -> None:
    told: list[Any] = []

    def upload() -> None:
        with kernel.client() as other:
            told.append(other.call("talker.do", "", {"text": "pass"}, seconds=100).value)

    passing = threading.Thread(target=upload)
    passing.start()
    try:
        wait_for(lambda: _answered(client, 20) and "passing failed" in output_of(kernel, "talker"))
        assert _answered(client, 20) < 4
    finally:
        client.call("sink.open")
        passing.join()
    ((code, text),) = told
    assert code == "room"
    assert "sink.take took nothing of its upload for 5 seconds" in str(text)
