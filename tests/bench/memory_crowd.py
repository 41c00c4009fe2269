"""Measures recalls while fifty Hands store and recall at once, beside a Hand that does so alone (acts).

All calls go through a kernel and its bus to the Hand `memory`. Each of the fifty is a Hand with a memory of its own, and
works as an agent does: in each turn it stores a sentence, which is on disk once that is answered, recalls one question by
meaning and words, and waits. The load keeps two cores busy but not overloaded, so that the result shows how much the others
slow down each one, and not the length of an ever-growing queue.
"""

import secrets
from pathlib import Path
from typing import Final

import msgspec

from tests.bench.home import ROOT, Kernel, Operator, install, new_home, trust
from tests.bench.samples import Row, percentile

MANY: Final = 50
TURN_S: Final = 4.0
"""Seconds between two turns of each of the MANY."""

ALONE_TURN_S: Final = 0.1
"""Seconds between two turns of the Hand that is alone; it stores and recalls nearly as often as the MANY together."""

SECONDS: Final = 20.0
ALONE_SECONDS: Final = 10.0
ROUNDS: Final = 3
KEPT: Final = 40
"""How many sentences each memory holds before the measurement."""

_TEXTS: Final = ROOT / "tests/bench/talk"
_MANIFEST: Final = """[hand]
name = "{name}"
version = "1.0.0"
description = "Stores and recalls, and says how long that took."
entry = "main:Asker"
kind = "service"
autonomy = "full"
idle = "1d"

[capabilities]
"memory.*" = {{ allow = ["own"], own = true }}

[limits]
calls_per_minute = 6000

[provides."{name}.fill"]
summary = "Store sentences"
resource = "none"
effect = "write"
params = {{ texts = "list" }}

[provides."{name}.ask"]
summary = "Take turns for a while"
resource = "none"
effect = "write"
params = {{ texts = "list", questions = "list", first = "float", turn = "float", turns = "int" }}
returns = {{ recalls = "list" }}
"""
_CODE: Final = """import asyncio
import time

from runtime import Call, Hand


class Asker(Hand):
    async def fill(self, call: Call, texts: list) -> None:
        for text in texts:
            await self.kernel.call("memory.store", "own", text=text)

    async def ask(self, call: Call, texts: list, questions: list, first: float, turn: float, turns: int) -> dict:
        recalls, begins = [], time.perf_counter() + first
        for number in range(turns):
            await asyncio.sleep(max(0.0, begins + number * turn - time.perf_counter()))
            await self.kernel.call("memory.store", "own", text=texts[number % len(texts)] + f" {time.time_ns()}")
            began = time.perf_counter()
            await self.kernel.call("memory.recall", "own", text=questions[number % len(questions)])
            recalls.append((time.perf_counter() - began) * 1_000)
        return {"recalls": recalls}
"""


class _Answer(msgspec.Struct):
    recalls: tuple[float, ...]


def measure(folder: Path) -> list[Row]:
    """Measure one row: the p95 of a recall while many Hands work, as a multiple of that of one alone."""
    home = new_home(folder / "home")
    texts, questions = (_read_texts(_TEXTS / name) for name in ("documents.jsonl", "queries.jsonl"))
    many: list[float] = []
    alone: list[float] = []
    with Kernel(home).wait_until_ready():
        operator = Operator(home).wait_for_hello()
        _prepare(home, operator, texts)
        for _ in range(ROUNDS):
            turns = round(ALONE_SECONDS / ALONE_TURN_S)
            alone.append(_p95(_take_turns(operator, ["asker-0"], texts, questions, ALONE_TURN_S, turns)))
            names = [f"asker-{number}" for number in range(MANY)]
            many.append(_p95(_take_turns(operator, names, texts, questions, TURN_S, round(SECONDS / TURN_S))))
        operator.close()
    what = (
        f"p95 of a recall while {MANY} Hands each store and recall once in {TURN_S:g} s, {MANY / TURN_S:g} a second in all, "
        f"beside one Hand alone, {1 / ALONE_TURN_S:g} times a second"
    )
    note = "Through the bus, with the question's vector made, and the vectors of what is stored made in the background."
    row = Row(
        name="memory-crowd",
        what=what,
        unit="ms",
        ours=tuple(many),
        bare=tuple(alone),
        judged="ratio",
        limit=3,
        note=note,
    )
    return [row]


def _prepare(home: Path, operator: Operator, texts: list[str]) -> None:
    """Install and start everything, fill the memories, and wait until every vector is made."""
    key = trust(home, operator)
    sources = sorted((ROOT / "hands/memory").iterdir())
    install(home, operator, key, "memory", {one.name: one.read_text() for one in sources if one.is_file()})
    for number in range(MANY):
        name = f"asker-{number}"
        install(home, operator, key, name, {"HAND.toml": _MANIFEST.format(name=name), "main.py": _CODE})
        operator.call(f"{name}.fill", texts=[f"{text} {secrets.token_hex(4)}" for text in texts[:KEPT]])
    owners = msgspec.convert(operator.call("memory.owners", "own"), dict[str, object])["owners"]
    for owner in msgspec.convert(owners, list[dict[str, object]]):
        while msgspec.convert(operator.call("memory.stats", str(owner["namespace"])), dict[str, object])["waiting"]:
            continue


def _take_turns(
    operator: Operator, names: list[str], texts: list[str], questions: list[str], turn: float, turns: int
) -> list[float]:
    """Let all these Hands take their turns at once, begun evenly over the first turn; milliseconds of every recall."""
    for at, name in enumerate(names):
        first = turn * at / len(names)
        operator.begin(f"{name}.ask", texts=[*texts], questions=[*questions[at:]], first=first, turn=turn, turns=turns)
    return [one for _ in names for one in msgspec.convert(operator.end(), _Answer).recalls]


def _p95(samples: list[float]) -> float:
    return percentile(samples, 0.95)


def _read_texts(path: Path) -> list[str]:
    """The texts in a collection's file."""
    return [str(msgspec.json.decode(line, type=dict[str, object])["text"]) for line in path.read_bytes().splitlines()]
