"""What others spend for an agent counts for its bounds, also what no reply says: a tool's Hand, or a run, may ask a model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.cli.client import Client
from tests.living import ROOT, Kernel, Source, install, make_home
from tests.system import thinking
from tests.system.fates import ran
from tests.system.thinking import ask, script, turns

ASKS = """
REQUEST = {"messages": [{"role": "user", "parts": [{"type": "text", "text": "and you?"}]}]}
"""
ADVISER = Source(
    """
[hand]
name = "adviser"
version = "1.0.0"
description = "Asks a model for whoever calls it."
entry = "main:Adviser"
kind = "service"
autonomy = "full"

[capabilities]
"model.complete" = ["*"]

[provides."adviser.advise"]
summary = "Advise"
resource = "none"
effect = "read"
""",
    f"""
from runtime import Call, Hand

{ASKS}

class Adviser(Hand):
    async def advise(self, call: Call) -> str:
        await self.kernel.call("model.complete", "scripted/script", REQUEST)
        return "look again"
""",
)
CLERK = Source(
    """
[hand]
name = "clerk"
version = "1.0.0"
description = "Asks a model, and does not say what that took."
entry = "main:Clerk"
kind = "task"
autonomy = "full"

[capabilities]
"model.complete" = ["*"]
""",
    f"""
from runtime import Hand

{ASKS}

class Clerk(Hand):
    async def run(self, task: str) -> str:
        await self.kernel.call("model.complete", "scripted/script", REQUEST)
        return "done"
""",
)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("spending") / "home")) as kernel:
        for hand in (ROOT / "hands" / "model", ADVISER, CLERK):
            install(kernel, hand)
        yield kernel
        kernel.down()


@pytest.mark.parametrize("tool", [ask("adviser_advise"), ask("delegate", hand="clerk", task="look")], ids=str)
def test_what_others_spend_and_do_not_say_counts_for_its_limit(
    kernel: Kernel, client: Client, tmp_path: Path, tool: dict[str, object]
) -> None:
    more = '"adviser.*" = ["*"]\n"kernel.spawn" = ["clerk"]'
    thinking.add(kernel, tmp_path, "tidy", more=more, agent='tokens = "50k"')
    spends = {"times": 0, "at": 0, "when": "and you?", "text": "no", "usage": {"input": 20_000, "output": 9}}
    asks = [{"at": place, "times": 0, "when": "tidy", "calls": [tool]} for place in range(6)]
    lines = turns(spends)[:1] + turns(*asks)
    script(client, lines)
    told = ran(client, "tidy", task="tidy up")
    assert (told["code"], told["value"]["steps"]) == ("tokens", 3), str(told)
    assert told["value"]["tokens"] > 60_000
    assert told["value"]["usage"]["input"] < 20_000
