"""A Hand in several versions, each of which writes and says which it is; and what is left of them in a home."""

from pathlib import Path

from tests.living import Kernel, Source, install
from tests.system import chaos, fates
from tests.system.fates import entries, entry
from tests.system.test_resuming import begin
from wire.signing import SigningKey

TOML = """
[hand]
name = "steady"
version = "{version}"
description = "Writes, sleeps, and writes."
entry = "main:Steady"
kind = "task"
autonomy = "full"
on_upgrade = "{on_upgrade}"

[capabilities]
"ledger.*" = ["*"]
"""

MAIN = """
from runtime import CallRefused, Hand


class Steady(Hand):
    async def run(self, seconds=0.5, text="x"):
        await self.kernel.call("ledger.add", "n", {"text": f"VERSION {text} before"})
        await self.sleep(seconds)
        try:
            await self.kernel.call("ledger.add", "n", {"text": f"VERSION {text} after"})
        except CallRefused as error:
            return f"VERSION refused {error.code}"
        return "VERSION"
"""

PARENT = Source(
    """
[hand]
name = "parent"
version = "1.0.0"
description = "Has another Hand work, and waits for it."
entry = "main:Parent"
kind = "task"
autonomy = "full"

[capabilities]
"kernel.spawn" = ["steady"]
"ledger.*" = ["*"]
""",
    """
from runtime import Hand


class Parent(Hand):
    async def run(self):
        child = await self.kernel.spawn("steady", {"seconds": 0.6, "text": "child"})
        told = await self.kernel.wait(child)
        return [told.run == child, told.outcome, told.value]
""",
)

ERRATIC = Source(
    """
[hand]
name = "erratic"
version = "1.0.0"
description = "Asks for something else each time."
entry = "main:Erratic"
kind = "task"
autonomy = "full"
on_upgrade = "finish"
""",
    """
import os

from runtime import Hand


class Erratic(Hand):
    async def run(self):
        await self.kernel.note(os.urandom(8).hex())
        await self.sleep(30.0)
""",
)

SPENDER = Source(
    """
[hand]
name = "spender"
version = "1.0.0"
description = "Asks for what costs, and takes long."
entry = "main:Spender"
kind = "task"
autonomy = "full"
on_upgrade = "restart"

[capabilities]
"costly.*" = ["*"]
""",
    """
from runtime import CallRefused, Cost, Hand


class Spender(Hand):
    async def run(self):
        try:
            await self.kernel.call("costly.spend", at_most=Cost(tokens=6, micro_dollars=6), tokens=4, seconds=30.0)
        except CallRefused as error:
            return error.code
""",
)


HASTY = Source(
    TOML.format(version="1.0.0", on_upgrade="restart")
    .replace("steady", "hasty")
    .replace("Steady", "Hasty")
    .replace("ledger", "slow"),
    """
from runtime import CallFailed, Hand


class Hasty(Hand):
    async def run(self):
        try:
            await self.kernel.call("slow.add", "n", {"text": "x"})
        except CallFailed as error:
            return error.code
""",
)


def source(version: str, on_upgrade: str = "finish", more: str = "") -> Source:
    """One version of it."""
    return Source(TOML.format(version=version, on_upgrade=on_upgrade) + more, MAIN.replace("VERSION", version))


def put_in(
    kernel: Kernel, version: str, on_upgrade: str = "finish", key: SigningKey | None = None
) -> dict[str, object]:
    """Install one version of it; what the kernel says."""
    return dict(install(kernel, source(version, on_upgrade), key=key))


def sleeping(kernel: Kernel, **inputs: object) -> str:
    """A run that has written once, and sleeps."""
    before = len([one for one in entries(kernel.home, "call") if one.method == "kernel.sleep"])
    run = begin(kernel, "steady", **inputs)
    fates.until(
        lambda: len([one for one in entries(kernel.home, "call") if one.method == "kernel.sleep"]) > before, "it sleeps"
    )
    return run


def written(kernel: Kernel) -> list[str]:
    """What was written, in words without the method."""
    return [line.removeprefix("add ") for line in chaos.done(kernel.home).elements()]


def folders(home: Path) -> list[str]:
    """The versions of it whose folders are there, with what nobody installed."""
    return sorted(one.name.rpartition("-")[0] for one in (home / "hands").iterdir() if one.name.startswith("steady"))


def only(kernel: Kernel, *versions: str) -> bool:
    """Whether the folders of exactly these versions come to be left, and nothing aside."""
    wanted = [f"steady-{version}" for version in versions]
    fates.until(lambda: folders(kernel.home) == wanted, f"only {versions} are left, of {folders(kernel.home)}")
    return bool(fates.until(lambda: not [*(kernel.home / "scratch").glob("steady-*")], "nothing is aside"))


def why_ended(kernel: Kernel, run: str) -> str:
    """What the log says of a run's end."""
    return entry(kernel.home, "run.end", run=run).why


def pid_of(kernel: Kernel, run: str) -> int:
    """The first process of one run, as soon as it has any."""

    def pid() -> int:
        return next((int(str(row["pid"])) for row in fates.runs(kernel) if row["run"] == run), 0)

    return fates.until(pid, f"{run} has a process")
