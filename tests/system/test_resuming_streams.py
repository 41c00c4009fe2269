"""Streams that are open when a run's process, its provider or the kernel dies: nothing of one comes twice, and what came
is kept.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.spread import spread
from tests.system.approving import answer, waiting
from tests.system.chaos import value
from tests.system.fates import entries, entry, pid_of, under, until
from tests.system.programs import PYTHON, output_of
from tests.system.test_resuming import begin, kill

SPRING = Source(
    """
[hand]
name = "spring"
version = "1.0.0"
description = "Streams, and takes what is streamed."
entry = "main:Spring"
kind = "service"
autonomy = "full"
idle = "60s"

[provides."spring.flow"]
summary = "Numbers, one by one"
resource = "none"
effect = "read"
params = { count = "int", rest = "int?", first = "int?" }

[provides."spring.pump"]
summary = "Numbers that cost something"
resource = "none"
effect = "external"
params = { count = "int", rest = "int?", first = "int?" }

[provides."spring.fill"]
summary = "Take an upload"
resource = "none"
effect = "write"
idempotent = true
params = { rest = "int?" }

[restart]
when = "always"
times = 1000
within = "1m"
""",
    """
import asyncio

from runtime import Call, Hand


class Spring(Hand):
    async def flow(self, call: Call, count: int, rest: int = 0, first: int = 0) -> object:
        for n in range(count):
            if n >= first:
                await asyncio.sleep(rest / 1000)
            await call.send(str(n).encode())
        return {"count": count}

    pump = flow

    async def fill(self, call: Call, rest: int = 0) -> object:
        taken = []
        async for chunk in call.upload:
            taken.append(chunk.decode())
            await asyncio.sleep(rest / 1000)
        return {"taken": taken}
""",
)

DRINKER = Source(
    """
[hand]
name = "drinker"
version = "1.0.0"
description = "Tells all that it met."
entry = "main:Drinker"
kind = "task"
autonomy = "full"

[capabilities]
"spring.*" = ["*"]
""",
    """
from runtime import CallFailed, Hand


class Drinker(Hand):
    async def run(self, method="spring.flow", count=12, rest=30, first=0, slowly=0):
        met = []
        try:
            async with self.kernel.stream(method, count=count, rest=rest, first=first) as stream:
                async for chunk in stream:
                    met.append(chunk.decode())
                    if slowly:
                        await self.sleep(slowly / 1000)
            met.append(stream.reply.value)
        except CallFailed as error:
            met.append([error.code, error.text])
        await self.kernel.note(f"met {len(met)}")
        return met
""",
)

PORTER = Source(
    DRINKER.toml.replace("drinker", "porter").replace("Drinker", "Porter"),
    """
from runtime import CallFailed, Hand


class Porter(Hand):
    async def run(self, count=20, rest=30):
        try:
            async with self.kernel.stream("spring.fill", upload=True, rest=rest) as stream:
                for n in range(count):
                    await stream.send(str(n).encode())
            return stream.reply.value
        except CallFailed as error:
            return [error.code, error.text]
""",
)


SIPPER = Source(
    DRINKER.toml.replace("drinker", "sipper").replace('entry = "main:Drinker"', 'command = ["./main.py"]'),
    f"""#!{PYTHON}
import json, socket, sys, time
link = socket.socket(fileno=3)
def tell(**message):
    link.sendall(json.dumps(message).encode() + b"\\n")
tell(type="ready")
came = 0
for line in link.makefile("r", encoding="utf-8"):
    match json.loads(line):
        case {{"type": "stop"}}:
            sys.exit(0)
        case {{"type": "call", "id": work}}:
            arguments = dict(count=11, rest=3000, first=10)
            tell(type="call", id=1, parent=work, method="spring.flow", arguments=arguments, stream=True)
            print("asked", flush=True)
            time.sleep(0.4)
        case {{"type": "chunk"}}:
            came += 1
            print("came", came, flush=True)
        case {{"type": "done" | "failed" as end}}:
            tell(type="done", id=work, value=[end, came])
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        for hand in (SPRING, DRINKER, PORTER):
            install(kernel, hand)
        yield kernel


WHOLE = [*map(str, range(12)), {"count": 12}]


@pytest.mark.parametrize("after", spread([0.1, 0.25], 1))
def test_a_stream_goes_on_when_the_process_that_reads_it_dies(kernel: Kernel, after: float) -> None:
    for slowly in (0, 40):
        run = begin(kernel, "drinker", slowly=slowly)
        until(lambda: len(entries(kernel.home, "call")), "it calls")
        for _ in range(3):
            time.sleep(after)
            kill(kernel, "run", "drinker")
        assert value(kernel, run) == WHOLE
    assert len(entries(kernel.home, "run.left")) >= 2
    calls = [one for one in entries(kernel.home, "call") if one.method == "spring.flow"]
    assert len(calls) == 2


@pytest.mark.wide
def test_a_stream_that_had_begun_when_the_kernel_died_keeps_what_came_and_ends(kernel: Kernel) -> None:
    run = begin(kernel, "drinker", rest=150)
    entry(kernel.home, "call", method="spring.flow")
    time.sleep(0.35)
    kernel.kill()
    kernel.up()
    met = value(kernel, run)
    assert isinstance(met, list)
    assert met[:-1] == [str(n) for n in range(len(met) - 1)]
    assert met[-1][0] == "interrupted"
    assert len(met) > 1


@pytest.mark.wide
def test_a_stream_with_an_effect_that_had_begun_when_the_kernel_died_has_an_unknown_outcome(kernel: Kernel) -> None:
    run = begin(kernel, "drinker", method="spring.pump", rest=150)
    entry(kernel.home, "call", method="spring.pump")
    time.sleep(0.35)
    kernel.kill()
    kernel.up()
    met = value(kernel, run)
    assert isinstance(met, list)
    assert met[:-1] == [str(n) for n in range(len(met) - 1)]
    assert met[-1][0] == "outcome unknown"


def test_an_upload_goes_on_when_the_process_that_makes_it_dies(kernel: Kernel) -> None:
    run = begin(kernel, "porter")
    until(lambda: [one for one in entries(kernel.home, "call") if one.method == "spring.fill"], "it uploads")
    for _ in range(2):
        time.sleep(0.15)
        kill(kernel, "run", "porter")
    assert value(kernel, run) == {"taken": [str(n) for n in range(20)]}
    assert len(entries(kernel.home, "run.left")) == 2


ASKER = Source(
    PORTER.toml.replace("porter", "asker").replace(
        '"spring.*" = ["*"]', '"spring.flow" = ["*"]\n"spring.fill" = { allow = ["*"], approval = true }'
    ),
    PORTER.main.replace(
        "await stream.send(str(n).encode())",
        """await stream.send(str(n).encode())
                    if n == 2:
                        async with self.kernel.stream("spring.flow", count=1) as flow:
                            await flow.read()
""",
    ),
)


def test_an_upload_that_waits_for_the_operator_comes_once_whatever_died_meanwhile(kernel: Kernel) -> None:
    """Its first chunks come while its second process goes through the tape. Not all fit into its credit before the answer."""
    install(kernel, ASKER)
    run = begin(kernel, "asker", rest=0)
    entry(kernel.home, "end", method="spring.flow", run=run)
    kernel.kill()
    kernel.up()
    (held,) = waiting(kernel)
    kill(kernel, "run", "asker")
    entry(kernel.home, "run.left", run=run)
    answer(kernel, [held])
    assert value(kernel, run) == {"taken": [str(n) for n in range(20)]}


@pytest.mark.parametrize("after", spread([0.1, 0.0, 0.4], 1))
def test_an_upload_that_had_begun_when_the_kernel_died_is_whole_or_ends(kernel: Kernel, after: float) -> None:
    run = begin(kernel, "porter")
    time.sleep(after)
    kernel.kill()
    kernel.up()
    met = value(kernel, run)
    assert met == {"taken": [str(n) for n in range(20)]} or met[0] == "interrupted", met  # type: ignore[index]


@pytest.mark.wide
@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
def test_a_stream_goes_on_when_the_process_before_was_slower_to_read_it(kernel: Kernel) -> None:
    """How much credit a program's bridge gave depends on how long its program took: here the first one is held up."""
    install(kernel, SPRING._replace(main=SPRING.main.replace("str(n).encode()", "str(n).encode().rjust(300_000)")))
    install(kernel, SIPPER)
    run = begin(kernel, "sipper")
    until(lambda: "asked" in output_of(kernel, "sipper"), "it asks")
    program = under(pid_of(kernel, "sipper"))
    for one in program:
        one.suspend()
    time.sleep(2)
    for one in program:
        one.resume()
    until(lambda: "came 10" in output_of(kernel, "sipper"), "it has read what there is")
    kill(kernel, "run", "sipper")
    assert value(kernel, run) == ["done", 11]
