"""Hands that cost and Hands that ask for it, for tests of budgets; and what was spent, as each of those who count it says."""

from pathlib import Path

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.living import Kernel, Source
from tests.system.fates import call, entries, table
from wire.amounts import Cost
from wire.codec import Value

COSTLY = Source(
    """
[hand]
name = "costly"
version = "1.0.0"
description = "Costs what it is told to."
entry = "main:Costly"
kind = "service"
autonomy = "full"

[capabilities]
"costly-two.spend" = ["*"]

[limits]
in_flight = 128
calls_per_minute = 6000

[provides."costly.spend"]
summary = "Cost something, after a while"
resource = "none"
effect = "read"
params = { tokens = "int", seconds = "float?", how = "string?" }
returns = { }

[provides."costly.bounded"]
summary = "Cost a token, and tell what it may cost"
resource = "none"
effect = "read"

[provides."costly.priced"]
summary = "Cost something, and never more than it says"
resource = "none"
effect = "external"
most = { tokens = "20", dollars = "0.01" }
params = { tokens = "int" }

[provides."costly.resell"]
summary = "Cost something, and ask another for more"
resource = "none"
effect = "external"
params = { tokens = "int", more = "int", most = "int", seconds = "float?" }
returns = { }
""",
    """
import asyncio, os, signal
from runtime import Call, Cost, Failure, Hand


class Costly(Hand):
    async def start(self) -> None:
        self.file = open(self.state / "spent", "a")

    async def spend(self, call: Call, tokens: int, seconds: float = 0.0, how: str = "") -> dict[str, object]:
        if how != "free":
            self.file.write(f"{tokens}\\n")
            self.file.flush()
            call.cost(tokens=tokens, micro_dollars=tokens)
        await asyncio.sleep(seconds)
        if how == "raise":
            raise ValueError("it went wrong")
        if how == "fail":
            raise Failure("conflict", "it went wrong")
        if how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return {}

    async def bounded(self, call: Call) -> object:
        call.cost(tokens=1)
        return call.left and call.left.tokens

    async def priced(self, call: Call, tokens: int) -> dict[str, object]:
        call.cost(tokens=tokens)
        return {"most": call.most.tokens}

    async def resell(self, call: Call, tokens: int, more: int, most: int, seconds: float = 0.0) -> dict[str, object]:
        at_most = Cost(tokens=most, micro_dollars=most) if most else None
        await self.kernel.call("costly-two.spend", at_most=at_most, tokens=more)
        await asyncio.sleep(seconds)
        call.cost(tokens=tokens, micro_dollars=tokens)
        return {"left": (await self.kernel.budget()).tokens_left}
""",
)

COSTLY_TWO = Source(
    COSTLY.toml.split('[provides."costly.bounded"]')[0]
    .replace('"costly"', '"costly-two"')
    .replace("costly.spend", "costly-two.spend")
    .replace('[capabilities]\n"costly-two.spend" = ["*"]\n', ""),
    COSTLY.main,
)

ASKER = Source(
    """
[hand]
name = "asker"
version = "1.0.0"
description = "Asks for what costs."
entry = "main:Asker"
kind = "task"
autonomy = "full"

[capabilities]
"costly.*" = ["*"]
"costly-two.spend" = ["*"]
"kernel.spawn" = ["asker"]

[budget]
tokens = ["1000/day", "5k/month"]
dollars = "1.00/day"
""",
    """
import asyncio, time
from runtime import CallFailed, CallRefused, Cost, Hand


class Asker(Hand):
    async def run(self, calls=(), at=0.0, spawn=None) -> dict[str, object]:
        await asyncio.sleep(max(0.0, at - time.time()))
        said = [await self._ask(dict(one)) for one in calls]
        if spawn:
            said.append((await self.kernel.spawn_and_wait("asker", spawn)).value)
        budget = await self.kernel.budget()
        left = {"left": budget.tokens_left, "dollars": budget.micro_dollars_left}
        return {"said": said, "spent": budget.tokens, "in_all": budget.tokens_in_all, **left}

    async def _ask(self, one) -> str:
        most, method = one.pop("at_most", None), one.pop("method", "costly.spend")
        try:
            at_most = None if most is None else Cost(tokens=most, micro_dollars=most)
            reply = await self.kernel.call(method, "", one, at_most=at_most, timeout=one.get("seconds", 0) + 30)
        except CallRefused as refused:
            return f"{refused.code}: {refused}"
        except CallFailed as failed:
            return f"{failed.code}: {failed}"
        return reply.value if method == "costly.bounded" else "done"
""",
)


def cost(tokens: int) -> Cost:
    return Cost(tokens=tokens, micro_dollars=tokens)


def spend(kernel: Kernel, tokens: int, most: int | None, *, seconds: float = 0, **more: object) -> str:
    """One call as the operator, for the home alone: how it ended."""
    try:
        with kernel.client() as client:
            arguments = {"tokens": tokens, **more}
            client.call("costly.spend", "", arguments, seconds=seconds, most=None if most is None else cost(most))
    except NotDone as error:
        return error.reason
    return "done"


def ask(client: Client, *calls: dict[str, object], most: int | None = None, **inputs: object) -> dict[str, Value]:
    """One run of asker; what it returned."""
    given = {"inputs": {"calls": calls, **inputs}, "wait": True}
    told = table(
        client.call("kernel.start", "asker", given, seconds=60, most=None if most is None else cost(most)).value
    )
    assert told["outcome"] == "done", told
    return table(told["value"])


def rooms(kernel: Kernel, name: str) -> dict[str, dict[str, Value]]:
    """A Hand's budgets, or the home's, by unit and window."""
    listed = table(call(kernel, "kernel.status"))["budgets"]
    assert isinstance(listed, list)
    return {f"{row['unit']!s}/{row['window']!s}": row for row in map(table, listed) if row["name"] == name}


def spent(kernel: Kernel, window: str = "day") -> int:
    """Tokens that the home has spent."""
    by_window = table(table(call(kernel, "kernel.status"))["spent"])
    return int(str(table(by_window[window])["tokens"]))


def counted(home: Path) -> int:
    """What the costly Hand itself knows it has spent."""
    return sum(int(line) for file in home.glob("state/*/spent") for line in file.read_text().split())


def in_log(home: Path) -> int:
    """What the log says was spent, charges that were corrected as they were corrected."""
    total = sum(one.cost.tokens for one in entries(home, "end") if one.cost is not None)
    for one in entries(home, "budget"):
        if one.verdict == "corrected":
            total += int(str(one.detail["more"]["tokens"])) - int(str(one.detail["back"]["tokens"]))  # type: ignore[index]
    return total
