"""Fifty Hands write and read at once: nobody's update is lost, and nobody hears of a lock."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.living import ROOT, Kernel, Source, install, make_home

MANY: Final = 50
TIMES: Final = 1

COUNTER: Final = """
[hand]
name = "{name}"
version = "1.0.0"
description = "Counts with others."
entry = "main:Counter"
kind = "task"
autonomy = "full"

[capabilities]
"memory.*" = ["own", "shared/count", "session/**"]

[limits]
calls_per_minute = 60000
"""

MAIN: Final = """
from runtime import CallFailed, Hand

CHAT = "session/bot/mail/-/ada"


class Counter(Hand):
    async def run(self, times: int) -> object:
        self.codes = []
        for number in range(times):
            await self.count("n")
            await self.kernel.call("memory.set", "own", key="mine", value=number)
            said = [{"role": "user", "text": f"{self.name} {number}"}]
            await self.kernel.call("memory.session.append", CHAT, messages=said, expect=number)
            await self.kernel.call("memory.graph.put", "shared/count", type="hand", name="Somebody")
        found = (await self.kernel.call("memory.session.search", CHAT, text=self.name)).value
        return {"codes": self.codes, "said": len(found["messages"])}

    async def count(self, key: str) -> None:
        while True:
            try:
                found = (await self.kernel.call("memory.get", "shared/count", key=key)).value
            except CallFailed as failed:
                self.codes.append(failed.code)
                found = {"value": 0, "version": 0}
            more = {"key": key, "value": found["value"] + 1, "version": found["version"]}
            try:
                await self.kernel.call("memory.set", "shared/count", **more)
                return
            except CallFailed as failed:
                self.codes.append(failed.code)
"""


@pytest.mark.wide
def test_fifty_hands_at_once_lose_no_update_and_meet_no_lock(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, ROOT / "hands" / "memory")
        names = [f"counter-{number}" for number in range(MANY)]
        for name in names:
            install(kernel, Source(COUNTER.format(name=name), MAIN))
        with kernel.client() as client:
            runs: list[Any] = [client.call("kernel.start", name, {"inputs": {"times": TIMES}}).value for name in names]
            for run in runs:
                ended: Any = client.call("kernel.wait", "", {"run": run["run"]}, seconds=120).value
                assert ended["outcome"] == "done", ended
                assert set(ended["value"]["codes"]) <= {"absent", "conflict"}
                assert ended["value"]["said"] == TIMES
            found: Any = client.call("memory.get", "shared/count", {"key": "n"}).value
            assert found["value"] == found["version"] == MANY * TIMES
            graph: Any = client.call("memory.graph.list", "shared/count").value
            assert [row["name"] for row in graph["entities"]] == ["Somebody"]
            owners: Any = client.call("memory.owners", "own").value
            assert len(owners["owners"]) == MANY + 1
            for owner in owners["owners"]:
                assert client.call("memory.verify", owner["namespace"]).value["ok"]  # type: ignore[index,call-overload]
