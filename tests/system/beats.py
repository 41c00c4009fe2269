"""Scheduled Hands for tests of a whole kernel, and what the log and scheduling say of their runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kernel.cli.client import Client
from manifests.unfinished import WORK
from tests.living import ROOT, Source
from tests.system.fates import entries

SCHEDULING = ROOT / "hands" / "scheduling"

_TOML = """
[hand]
name = "{name}"
version = "{version}"
description = "Does what its schedule says."
entry = "main:Beat"
kind = "task"
autonomy = "full"

[capabilities]
{capabilities}

[events]
publishes = ["done", "loaded"]

[schedule]
{schedule}
"""

_MAIN = """
import asyncio

from runtime import Hand


class Beat(Hand):
    async def run(self, when="", say="", ask="", lasts=0, publish="", body=None, event=None):
        if ask:
            await self.kernel.call(ask, "", {"text": say})
        if publish:
            await self.publish(publish, body)
        await asyncio.sleep(lasts)
        return {"when": when, "say": say, "event": event}
"""


def beat(name: str, schedule: str, capabilities: str = "", version: str = "1.0.0") -> Source:
    """A task Hand with these rows of [schedule] and [capabilities]."""
    return Source(_TOML.format(name=name, version=version, schedule=schedule, capabilities=capabilities), _MAIN)


def begun(home: Path, name: str) -> list[tuple[str, str]]:
    """Key and run of each scheduled run of a Hand whose work the log knows, in order.

    A run that was started when its kernel died before its work was on disk did nothing: its firing begins another one.
    """
    known = entries(home, "run.start", "call")
    works = {one.call for one in known if one.method == WORK}
    starts = [one for one in known if one.detail.get("name") == name and "fired" in one.detail]
    return [(str(one.detail["fired"]), one.run) for one in starts if one.call in works]


def told(client: Client, method: str, resource: str = "", arguments: Mapping[str, object] | None = None) -> Any:
    """What the operator's call is answered with."""
    return client.call(method, resource, arguments or {}, seconds=60).value


def history(client: Client, name: str = "") -> list[dict[str, Any]]:
    """What scheduling says that became of a Hand's firings."""
    rows: list[dict[str, Any]] = told(client, "scheduling.history", "", {"hand": name, "most": 500})["history"]
    return rows


def ended(client: Client, name: str, what: str = "fired") -> list[dict[str, Any]]:
    """Of these, what has an outcome; what: other than of runs, which have one."""
    return [row for row in history(client, name) if row["what"] == what and (row["outcome"] or what != "fired")]


def following(client: Client, name: str) -> dict[str, Any]:
    """What scheduling says of a Hand's next firings, {} for one that it does not know."""
    rows: list[dict[str, Any]] = told(client, "scheduling.next", "", {"hand": name})["hands"]
    return rows[0] if rows else {}
