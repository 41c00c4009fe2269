"""Pipelines in a living kernel: Hands for their steps that do as they are told, and what a run of them came to.

The ledger keeps its lines on disk, and a key only once. A worker's key is drawn from its run's seed: a run that goes on in
another process writes the same line under the same key, and one that was begun twice writes two.
"""

from typing import Any, Final

from kernel.cli import installing, package, pipelines
from kernel.cli.client import Client
from manifests.grants import requested
from manifests.pipeline.check import check
from manifests.pipeline.folder import file_of
from manifests.pipeline.installed import lends_of
from tests.living import Kernel, Source, install, seal_key

LEDGER: Final = Source(
    """
[hand]
name = "ledger"
version = "1.0.0"
description = "Keeps what was written into it, in order, each key once."
entry = "main:Ledger"
kind = "service"
autonomy = "full"
idle = "0s"

[restart]
when = "always"
times = 1000
within = "1m"

[provides."ledger.add"]
summary = "Write a line"
resource = "path"
effect = "write"
idempotent = true
params = { text = "string", key = "string" }
returns = { count = "int" }

[provides."ledger.all"]
summary = "Every line"
resource = "none"
effect = "read"
""",
    """
import json

from runtime import Call, Hand


class Ledger(Hand):
    async def start(self):
        self.file = self.state / "lines"
        self.lines = {}
        for row in self.file.read_text().splitlines() if self.file.exists() else ():
            key, line = json.loads(row)
            self.lines[key] = line

    async def add(self, call: Call, text: str, key: str) -> object:
        line = f"{call.resource} {text}"
        if key not in self.lines:
            with self.file.open("a") as file:
                file.write(json.dumps([key, line]) + "\\n")
            self.lines[key] = line
        same = [other for other, each in self.lines.items() if each == line]
        return {"count": same.index(key) + 1}

    async def all(self, call: Call) -> object:
        return {"lines": list(self.lines.values())}
""",
)

WORKER: Final = Source(
    """
[hand]
name = "worker"
version = "1.0.0"
description = "Writes a line into the ledger, and waits, fails or dies as it is told."
entry = "main:Worker"
kind = "task"
autonomy = "full"

[capabilities]
"ledger.add" = ["book/**"]
"kernel.sleep" = ["*"]
""",
    """
import os

from runtime import Failure, Hand


class Worker(Hand):
    async def run(
        self, text: str = "", on: str = "book/a", seconds: float = 0.0, fail: int = 0, die: bool = False,
        give: object = None,
    ) -> object:
        made = await self.kernel.call("ledger.add", on, text=text, key=str(self.uuid()))
        await self.kernel.sleep(seconds)
        if die:
            os._exit(9)
        if made.value["count"] <= fail:
            raise Failure("flaky", f"it fails the first {fail} times")
        return {"text": text, "count": made.value["count"], "give": give}
""",
)

HEAD: Final = """
[pipeline]
name = "NAME"
version = "1.0.0"
description = "Made for a test."
"""


def furnish(kernel: Kernel) -> None:
    """Install the Hands of the steps."""
    install(kernel, LEDGER)
    install(kernel, WORKER)


def add(kernel: Kernel, name: str, text: str, *, checked: bool = True) -> dict[str, Any]:
    """Add a pipeline as `maniple pipeline add` does; text: its file after [pipeline]; checked: against what is installed."""
    whole = HEAD.replace("NAME", name) + text
    with kernel.client() as client:
        hands = pipelines.KnownHands(client)
        made = check(whole, file=file_of(name), hands=hands if checked else None)
        folder = pipelines.make_folder(made, whole, lends_of(made, hands))
        seal = package.make_seal(folder, seal_key(kernel.home))
        told = installing.install(client, folder, seal, requested(folder.manifest))
    assert isinstance(told, dict)
    return told


def ledger(client: Client) -> list[str]:
    """What was written into the ledger so far."""
    told: Any = client.call("ledger.all").value
    return list(told["lines"])


def live(client: Client) -> list[str]:
    """The Hands that have runs now, services left out."""
    told: Any = client.call("kernel.ps").value
    return sorted(row["hand"] for row in told["runs"] if row["hand"] != "ledger")
