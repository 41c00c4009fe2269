"""A home whose disk fills up and empties again, with a kernel that serves it; run by test_disk_full.py as a process.

`python -m tests.system.full_home DISK`, in a mount namespace of its own; DISK is an empty mounted file system.
Ends with 0 when all held.
"""

import sys
import time
from pathlib import Path

from kernel.cli.client import Client
from tests.living import Kernel, Source, install, make_home
from tests.small_disk import fill
from tests.system import fates
from tests.system.fates import call, ended, entries, table, until
from wire.entries import Entry

PAGER = Source(
    """
[hand]
name = "pager"
version = "1.0.0"
description = "Has effects elsewhere, on no disk; and tells how many, with labels that fill the log."
entry = "main:Pager"
kind = "service"
autonomy = "full"

[provides."pager.send"]
summary = "Send a page"
resource = "none"
effect = "external"

[provides."pager.look"]
summary = "How many were sent"
resource = "url"
effect = "read"
""",
    """
from runtime import Call, Hand


class Pager(Hand):
    sent = 0

    async def send(self, call: Call) -> object:
        self.sent += 1
        return {"number": call.number}

    async def look(self, call: Call) -> object:
        call.add_labels(*(f"{number:02}" * 30 for number in range(60)))
        return {"sent": self.sent}
""",
)

READER = Source(
    """
[hand]
name = "reader"
version = "1.0.0"
description = "Reads until it is refused."
entry = "main:Reader"
kind = "task"
autonomy = "readonly"

[capabilities]
"pager.look" = ["https://example.org/**"]

[limits]
calls_per_minute = 6000000
wall = "10m"
""",
    """
import asyncio
from runtime import CallRefused, Hand

LONG = "https://example.org/" + "x" * 900


class Reader(Hand):
    async def run(self) -> object:
        return {"codes": sorted(set(await asyncio.gather(*(self.read() for _ in range(8)))))}

    async def read(self) -> str:
        while True:
            try:
                await self.kernel.call("pager.look", LONG)
            except CallRefused as refused:
                return refused.code
""",
)

URL = "https://example.org/"
REFUSALS = 100


def _log_state(client: Client) -> str:
    return str(table(client.call("kernel.status").value)["log_state"])


def _sent(client: Client) -> int:
    return int(str(table(client.call("pager.look", URL).value)["sent"]))


def _refused_clearly(client: Client) -> None:
    """An effect is refused, and the refusal says what to do."""
    told = table(client.call("kernel.check", "", {"method": "pager.send"}).value)
    assert told["code"] == "log"
    assert str(told["why"]).startswith("the log cannot grow, so nothing is done: the log has no reserve: ")
    assert "No space left on device" in str(told["why"])
    assert "make room" in str(told["why"])
    assert ended(client, "pager.send") == "log"


def main(disk: Path) -> None:
    """Room, none but the reserve, none at all, room again."""
    kernel = Kernel(make_home(disk / "home")).up()
    for hand in (PAGER, READER):
        install(kernel, hand)
    call(kernel, "kernel.start", "pager")
    run = str(table(call(kernel, "kernel.start", "reader"))["run"])
    with kernel.client() as client:
        acknowledged = []
        assert ended(client, "pager.send") == "done"
        filler = fill(disk)
        while _log_state(client) == "ok":  # the reader writes into the reserve, which cannot be had again
            if ended(client, "pager.send") == "done":
                acknowledged.append(1)
        assert _log_state(client) == "full"
        _refused_clearly(client)
        sent = _sent(client)  # reads go on
        assert sent == 1 + len(acknowledged)
        assert ended(client, "kernel.note", "", {"text": "what the operator does passes"}) == "done"

        told = table(client.call("kernel.wait", "", {"run": run}, seconds=300).value)
        assert table(told["value"]) == {"codes": ["log"]}, told
        assert _log_state(client) == "spent"
        assert ended(client, "pager.look", URL) == "log"
        assert ended(client, "pager.send") == "log"
        for method in ("kernel.status", "kernel.hands", "kernel.ps", "kernel.home"):
            assert ended(client, method) == "done"
        assert ended(client, "kernel.pause", "reader") == "done"
        _refusals_cost_nothing(client)

        filler.unlink()
        until(lambda: _log_state(client) == "ok", "the log has its reserve again")
        assert _sent(client) == sent
        assert ended(client, "pager.send") == "done"
        assert _sent(client) == sent + 1
        until(lambda: any(int(str(one.detail["count"])) >= REFUSALS for one in _floods(kernel)), "they are told then")
    kernel.down()
    _whole(kernel, sent + 1)
    kernel.up()
    assert fates.state_of(kernel, "reader") == "paused"
    _starts_full(disk, kernel)


def _refusals_cost_nothing(client: Client) -> None:
    """What is refused while there is no room, by whomever, is counted, and takes two entries a second at most."""
    before, began = int(str(table(client.call("kernel.status").value)["entries"])), time.monotonic()
    for _ in range(REFUSALS):
        assert ended(client, "pager.send") == "log"
    after = int(str(table(client.call("kernel.status").value)["entries"]))
    assert 2 <= after - before <= 2 + 2 * (1 + time.monotonic() - began)


def _floods(kernel: Kernel) -> list[Entry]:
    return [one for one in entries(kernel.home, "flood") if one.principal == "operator" and one.detail["code"] == "log"]


def _whole(kernel: Kernel, sent: int) -> None:
    """Nothing is lost: each effect stands in the log, and the log verifies."""
    calls = [one for one in entries(kernel.home, "call") if one.method == "pager.send"]
    done = [one for one in entries(kernel.home, "end") if one.method == "pager.send" and one.verdict == "done"]
    assert (len(calls), len(done)) == (sent, sent)
    assert fates.verified(kernel.home).signed == len(entries(kernel.home))


def _starts_full(disk: Path, kernel: Kernel) -> None:
    """A kernel that was killed comes up on a full disk, so that its operator can see what is wrong; nothing is lost."""
    call(kernel, "kernel.status")
    until(lambda: (disk / "home/log/entries/000000.jsonl").stat().st_blocks * 512 > 16 << 20, "the reserve is there")
    filler = fill(disk)
    kernel.kill()
    kernel.up()
    with kernel.client() as client:
        assert ended(client, "kernel.hands") == "done"
        filler.unlink()
        until(lambda: _log_state(client) == "ok", "the log has its reserve again")
        assert ended(client, "kernel.start", "pager") == "done"
        assert ended(client, "pager.send") == "done"
    kernel.down()
    fates.verified(kernel.home)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
