"""Hands that cost and Hands that ask for it, for tests of budgets."""

from tests.living import Source

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
    COSTLY.toml.split('[provides."costly.priced"]')[0]
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
"costly.spend" = ["*"]
"costly.resell" = ["*"]
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
        return {"said": said, "left": budget.tokens_left, "dollars": budget.micro_dollars_left, "spent": budget.tokens}

    async def _ask(self, one) -> str:
        most, method = one.pop("at_most", None), one.pop("method", "costly.spend")
        try:
            at_most = None if most is None else Cost(tokens=most, micro_dollars=most)
            await self.kernel.call(method, "", one, at_most=at_most, timeout=one.get("seconds", 0) + 30)
        except CallRefused as refused:
            return f"{refused.code}: {refused}"
        except CallFailed as failed:
            return f"{failed.code}: {failed}"
        return "done"
""",
)
