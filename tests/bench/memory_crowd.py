"""Fifty Hands that write and recall at once, beside one that does so alone (acts): a home, its kernel, the bus, the Hand.

Each is a Hand of its own with a memory of its own, and does as an agent does: in every turn it stores one sentence, which is
on the disk when that is answered, recalls one question by meaning and word, and waits. The load is chosen so that two cores
are busy and not overfull: what is measured is how much the others' work stands in one's way, and not a queue without end.
"""

import secrets
from pathlib import Path
from typing import Final

import msgspec

from tests.bench.home import ROOT, Kernel, Operator, install, new_home, trust
from tests.bench.samples import Row, percentile

MANY: Final = 50
TURN_S: Final = 4.0
"""Between two turns of each of many."""

ALONE_TURN_S: Final = 0.1
"""Between two turns of the one that is alone: the same that many do is so often only together."""

SECONDS: Final = 20.0
ALONE_SECONDS: Final = 10.0
ROUNDS: Final = 3
KEPT: Final = 40
"""Sentences that each memory has before."""

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


def measured(folder: Path) -> list[Row]:
    """One row: the p95 of a recall of many, as a multiple of that of one."""
    home = new_home(folder / "home")
    texts, questions = (_told(_TEXTS / name) for name in ("documents.jsonl", "queries.jsonl"))
    many: list[float] = []
    alone: list[float] = []
    with Kernel(home).ready():
        operator = Operator(home).greeted()
        _settled(home, operator, texts)
        for _ in range(ROUNDS):
            turns = round(ALONE_SECONDS / ALONE_TURN_S)
            alone.append(_p95(_all(operator, ["asker-0"], texts, questions, ALONE_TURN_S, turns)))
            names = [f"asker-{number}" for number in range(MANY)]
            many.append(_p95(_all(operator, names, texts, questions, TURN_S, round(SECONDS / TURN_S))))
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


def _settled(home: Path, operator: Operator, texts: list[str]) -> None:
    """Everything installed and started, and no vector waited for."""
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


def _all(
    operator: Operator, names: list[str], texts: list[str], questions: list[str], turn: float, turns: int
) -> list[float]:
    """What every one of these took for each recall, all at once, the first turns spread over one."""
    for at, name in enumerate(names):
        first = turn * at / len(names)
        operator.begin(f"{name}.ask", texts=[*texts], questions=[*questions[at:]], first=first, turn=turn, turns=turns)
    return [one for _ in names for one in msgspec.convert(operator.end(), _Answer).recalls]


def _p95(samples: list[float]) -> float:
    return percentile(samples, 0.95)


def _told(path: Path) -> list[str]:
    return [str(msgspec.json.decode(line, type=dict[str, object])["text"]) for line in path.read_bytes().splitlines()]
