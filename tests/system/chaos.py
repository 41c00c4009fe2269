"""A run of many calls, and the counting provider that it calls: what a killer may meet, and what must come of it.

The journey asks for readings, and has things counted; a third of its calls are effects, each with a text of its own. The
ledger, which is a service with a file in its `state/` folder, writes down each effect that it carries out, before it
answers. So whatever is killed when: what is on that file was done, and how often.
"""

from collections import Counter
from pathlib import Path
from typing import Final

from tests.living import Kernel, Source, install
from tests.system.fates import PATIENCE

CALLS: Final = 60
"""A third of them effects that are not idempotent, a third effects that are."""

LEDGER: Final = Source(
    """
[hand]
name = "ledger"
version = "1.0.0"
description = "Counts what is done."
entry = "main:Ledger"
kind = "service"
autonomy = "full"
idle = "60s"

[provides."ledger.read"]
summary = "A reading"
resource = "name"
effect = "read"
returns = { text = "string" }

[provides."ledger.add"]
summary = "Write a line"
resource = "name"
effect = "external"
params = { text = "string" }
returns = { text = "string" }

[provides."ledger.set"]
summary = "Write a line once"
resource = "name"
effect = "write"
idempotent = true
params = { text = "string" }
returns = { text = "string" }

[restart]
when = "always"
times = 1000
within = "1m"
""",
    """
import os

from runtime import Call, Hand


class Ledger(Hand):
    async def start(self):
        self.file = os.open(self.state / "done", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def read(self, call: Call) -> dict[str, object]:
        return {"text": f"reading of {call.resource}"}

    async def add(self, call: Call, text: str) -> dict[str, object]:
        os.write(self.file, f"add {text}\\n".encode())
        return {"text": f"added {text}"}

    async def set(self, call: Call, text: str) -> dict[str, object]:
        os.write(self.file, f"set {text}\\n".encode())
        return {"text": f"set {text}"}
""",
)

JOURNEY: Final = Source(
    """
[hand]
name = "journey"
version = "1.0.0"
description = "Calls many times."
entry = "main:Journey"
kind = "task"
autonomy = "full"

[capabilities]
"ledger.*" = ["*"]

[limits]
calls_per_minute = 100000
""",
    """
import asyncio
import time

from runtime import CallFailed, Hand


class Journey(Hand):
    async def run(self, calls: int = 60, wide: int = 1, rest: float = 0.0) -> dict[str, object]:
        self.unknown = []
        told = []
        for first in range(0, calls, wide):
            told += await asyncio.gather(*(self.step(n) for n in range(first, min(calls, first + wide))))
            if rest:
                await asyncio.sleep(rest)
        return {"told": told, "unknown": self.unknown, "drawn": self.random.random(), "at": time.time() > 0}

    async def step(self, n: int) -> str:
        method = ("read", "set", "add")[n % 3]
        text = f"{n} {self.random.random():.6f}"
        try:
            reply = await self.kernel.call(f"ledger.{method}", f"n{n}", {} if method == "read" else {"text": text})
        except CallFailed as error:
            if error.code == "poison":  # the ledger was killed twice meanwhile, which is no fault of the call
                return await self.step(n)
            if error.code != "outcome unknown":
                raise
            self.unknown.append(text)
            return "unknown"
        return reply.value["text"]
""",
)


def prepare(kernel: Kernel) -> None:
    """Install both."""
    install(kernel, LEDGER)
    install(kernel, JOURNEY)


def done(home: Path) -> Counter[str]:
    """What the ledger carried out, and how often."""
    return Counter(line for file in (home / "state").glob("*/done") for line in file.read_text().splitlines())


def is_right(outcome: dict[str, object], counted: Counter[str], calls: int = CALLS) -> None:
    """Fails unless all calls have their end, and each effect was carried out once, or its run knows that nobody knows."""
    assert outcome["outcome"] == "done", outcome
    value = outcome["value"]
    assert isinstance(value, dict)
    told, unknown = value["told"], value["unknown"]
    assert len(told) == calls
    for n, text in enumerate(told):
        kind = ("reading of", "set", "added")[n % 3]
        assert text == "unknown" or text.startswith(f"{kind} {'n' if n % 3 == 0 else ''}{n}"), (n, text)
        assert text != "unknown" or n % 3 == 2
    adds = {line: count for line, count in counted.items() if line.startswith("add ")}
    for line, count in adds.items():
        assert count == 1, f"{line} was done {count} times"
    known = {text.removeprefix("added ") for text in told if text.startswith("added ")}
    assert known <= {line.removeprefix("add ") for line in adds}, "it was told of what was never done"
    assert {line.removeprefix("add ") for line in adds} <= known | set(unknown), (
        "something was done that it was not told of"
    )


def outcome_of(kernel: Kernel, run: str) -> dict[str, object]:
    """How a run ended, when it has; the kernel may have been another when it began."""

    with kernel.client() as client:
        told = client.call("kernel.wait", "", {"run": run}, seconds=PATIENCE).value
    assert isinstance(told, dict)
    return dict(told)


def value(kernel: Kernel, run: str) -> object:
    """What a run returned, as soon as it has; fails when it did not end in `done`."""
    outcome = outcome_of(kernel, run)
    assert outcome["outcome"] == "done", outcome
    return outcome["value"]
